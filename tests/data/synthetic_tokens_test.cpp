// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/synthetic_tokens_test.cpp: random rows: the same on any world, in the vocabulary, as likely as said.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cohort/data/loader.hpp>
#include <cohort/data/synthetic_tokens.hpp>
#include <cstddef>
#include <vector>

using namespace cohort::data;
using enum SyntheticPattern;
using Ints = std::vector<int>;

static_assert(BatchFill<SyntheticTokens, TokenBatch> && ShapesBatch<SyntheticTokens>);

namespace {
TokenBatch filled(const SyntheticTokens& fill, std::int64_t step) {
  TokenBatch batch = fill.batch();
  fill(step, batch);
  return batch;
}
}  // namespace

TEST_CASE("SyntheticTokens: the global batch does not depend on the world that cuts it") {
  for (const auto pattern : {uniform, counting, octaves}) {
    const auto all = filled({50257, 9, {.rows = 12}, 3, pattern}, 5);
    for (const int world : {2, 3, 12}) {
      Ints inputs;
      for (int rank = 0; rank < world; ++rank) {
        const auto part = filled({50257, 9, {rank, world, 12 / world}, 3, pattern}, 5);
        inputs.insert(inputs.end(), part.inputs.begin(), part.inputs.end());
      }
      REQUIRE(inputs == all.inputs);
    }
    CHECK(all.inputs != filled({50257, 9, {.rows = 12}, 3, pattern}, 6).inputs);
    CHECK(all.inputs != filled({50257, 9, {.rows = 12}, 4, pattern}, 5).inputs);
  }
}

TEST_CASE("SyntheticTokens: targets follow their inputs, all ids are of the vocabulary") {
  for (const auto pattern : {uniform, counting, octaves}) {
    for (const int vocabulary : {1, 2, 3, 7, 8, 9, 1000}) {
      const auto batch = filled({vocabulary, 16, {.rows = 8}, 1, pattern}, 0);
      for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
        REQUIRE(batch.inputs[i] >= 0);
        REQUIRE(batch.inputs[i] < vocabulary);
        REQUIRE(batch.targets[i] < vocabulary);
        if (i % 16 != 15) REQUIRE(batch.targets[i] == batch.inputs[i + 1]);
        if (pattern == counting) REQUIRE(batch.targets[i] == (batch.inputs[i] + 1) % vocabulary);
      }
    }
  }
}

TEST_CASE("SyntheticTokens: ids are as likely as said") {
  // Counts of n draws with probability p stay within 5 deviations sqrt(n p (1 - p)); seeds are fixed.
  constexpr int n = 64 * 256;
  const auto near = [](std::ptrdiff_t count, double p) {
    return std::abs(double(count) - n * p) <= 5 * std::sqrt(n * p * (1 - p));
  };
  const auto even = filled({16, 256, {.rows = 64}, 1, uniform}, 0).inputs;
  for (int id = 0; id < 16; ++id) CHECK(near(std::count(even.begin(), even.end(), id), 1 / 16.0));
  // 15 ids are 4 octaves: {0}, {1, 2}, {3 .. 6}, {7 .. 14}.
  const auto steep = filled({15, 256, {.rows = 64}, 1, octaves}, 0).inputs;
  for (int id = 0; id < 15; ++id) {
    const double share = id == 0 ? 1 : id < 3 ? 2 : id < 7 ? 4 : 8;
    CHECK(near(std::count(steep.begin(), steep.end(), id), 0.25 / share));
  }
}

TEST_CASE("SyntheticTokens: nothing to draw from is refused") {
  CHECK_THROWS_AS(SyntheticTokens(0, 4, {}, 1), cohort::InvalidInput);
  CHECK_THROWS_AS(SyntheticTokens(4, 0, {}, 1), cohort::InvalidInput);
  CHECK_THROWS_AS(SyntheticTokens(4, 4, {.rows = 0}, 1), cohort::InvalidInput);
}
