// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/random_test.cpp: what a layer's random numbers depend on, and what they do not.
#include <cohort/core/random.hpp>

#include <doctest/doctest.h>

#include <set>
#include <tuple>

using namespace cohort;

namespace {
const std::int64_t step = 5;
Random of(std::uint64_t first, std::uint64_t stride, std::uint32_t place = 2) {
  return Random({.seed = 42, .steps = &step, .first = first, .stride = stride}, place);
}
}  // namespace

TEST_CASE("random: a number is that of Philox for (seed, step and place, sample and element)") {
  const Random random = of(3, 4);
  const std::uint64_t stream = std::uint64_t{2} << 56 | std::uint64_t{5} << 20 | 2;
  CHECK(static_cast<int>(RandomUse::layers) == 2);
  for (int sample : {0, 1, 7})
    for (std::uint64_t element : {0, 1, 2, 3, 4, 5, 1000003}) {
      const std::uint64_t block = std::uint64_t(3 + 4 * sample) << 33;
      const auto words = Philox(42)(stream, block + element / 4);
      CHECK(random.uniform01(sample, element) ==
            static_cast<float>(words[element % 4] >> 8) * 0x1p-24f);
      CHECK(random.bits(sample, element) == random_bits(42, stream, 2 * block + element));
      CHECK(random.normal(sample, element) == normal(42, stream, 2 * block + element));
    }
}

TEST_CASE("random: a sample's numbers do not depend on the rank or the micro-batch that holds it") {
  const Random whole = of(0, 1);
  for (std::uint64_t ranks : {1, 2, 3}) {
    for (std::uint64_t rank = 0; rank < ranks; ++rank) {
      for (std::uint64_t k = 0; k < 5; ++k) {
        const int global = static_cast<int>(k * ranks + rank);
        CHECK(of(rank, ranks).bits(static_cast<int>(k), 9) == whole.bits(global, 9));
        CHECK(of(k * ranks + rank, ranks).bits(0, 9) ==
              whole.bits(global, 9));  // a later micro-batch
      }
    }
  }
}

TEST_CASE(
    "random: seed, step, place, sample and element all matter, and their neighbours share "
    "nothing") {
  std::set<std::uint64_t> seen;
  for (const std::int64_t at : {0, 1, 2})
    for (std::uint32_t place : {0u, 1u, 1048575u})
      for (int sample : {0, 1, 2})
        for (std::uint64_t element : {0, 1, 2, 3})
          for (std::uint64_t seed : {1, 2})
            seen.insert(Random({.seed = seed, .steps = &at}, place).bits(sample, element));
  CHECK(seen.size() == 3 * 3 * 3 * 4 * 2);
  CHECK(of(0, 1).next().bits(0, 0) == of(0, 1, 3).bits(0, 0));
  CHECK(of(0, 1).next().place() == 3);
}
