// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/philox_test.cpp: registers of counters give the words of Philox, one block after the other.
#include <doctest/doctest.h>

#include <cohort/ops/philox.hpp>

#include <random>
#include <vector>

using namespace cohort;

TEST_CASE("philox: every block is Philox's, for any seed and stream, past 2^32 and around 2^64") {
  std::mt19937_64 random(5);
  std::vector<std::uint64_t> firsts = {0, 1, 0xfffffff8u, 0xffffffffu, ~std::uint64_t{0} - 3};
  for (int i = 0; i < 200; ++i) firsts.push_back(random());
  std::vector<std::uint32_t> words(4 * ops::philox_lanes + 1, 77);
  int wrong = 0;
  for (const std::uint64_t first : firsts) {
    const std::uint64_t seed = random(), stream = random();
    ops::philox_blocks(seed, stream, first, words.data());
    for (std::size_t b = 0; b < ops::philox_lanes; ++b) {
      const auto want = Philox(seed)(stream, first + b);
      for (std::size_t w = 0; w < 4; ++w) wrong += words[4 * b + w] != want[w];
    }
  }
  CHECK(wrong == 0);
  CHECK(words.back() == 77);
}
