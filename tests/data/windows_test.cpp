// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/windows_test.cpp: which tokens a batch holds, on any world.
#include <doctest/doctest.h>

#include <cmath>
#include <cohort/data/loader.hpp>
#include <cohort/data/windows.hpp>
#include <cstddef>
#include <string>
#include <vector>

using namespace cohort::data;
using Ints = std::vector<int>;

static_assert(BatchFill<RandomWindows, TokenBatch> && BatchFill<SampledWindows, TokenBatch> &&
              BatchFill<EvaluationBlocks, TokenBatch>);

namespace {
/// Token i of this text is i, up to 250 tokens: batches show where they were cut.
CharCorpus counting(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += static_cast<char>(i);
  return CharCorpus::from_text(text, {.train_fraction = 1.0});
}
void append(Ints& to, const Ints& from) { to.insert(to.end(), from.begin(), from.end()); }
}  // namespace

TEST_CASE("Windows: window k is tokens k to k + block - 1, its targets are one later") {
  const auto corpus = counting(10);
  const Windows w(corpus.train(), 4);
  CHECK(w.size() == 6);
  TokenBatch batch(2, 4);
  w.copy(0, batch, 1);
  w.copy(5, batch, 0);
  CHECK(batch.inputs == Ints{5, 6, 7, 8, 0, 1, 2, 3});
  CHECK(batch.targets == Ints{6, 7, 8, 9, 1, 2, 3, 4});
  CHECK(Windows(corpus.train(), 9).size() == 1);
  CHECK_THROWS_AS(Windows(corpus.train(), 10), cohort::InvalidInput);
}

TEST_CASE("RandomWindows: the global batch does not depend on the world that cuts it") {
  const auto corpus = counting(250);
  const RandomWindows whole(corpus.train(), 7, {.rows = 12}, 1337);
  for (const int world : {1, 2, 3, 4, 6, 12}) {
    for (const std::int64_t step : {0, 1, 2, 1000}) {
      TokenBatch all = whole.batch();
      whole(step, all);
      Ints inputs, targets;
      for (int rank = 0; rank < world; ++rank) {
        const RandomWindows part(corpus.train(), 7, {rank, world, 12 / world}, 1337);
        TokenBatch batch = part.batch();
        CHECK(batch.samples == 12 / world);
        CHECK(batch.tokens == 7);
        part(step, batch);
        append(inputs, batch.inputs);
        append(targets, batch.targets);
      }
      REQUIRE(inputs == all.inputs);
      REQUIRE(targets == all.targets);
    }
  }
}

TEST_CASE("RandomWindows: rows are whole windows, others in each step and for each seed") {
  const auto corpus = counting(250);
  const RandomWindows fill(corpus.train(), 5, {.rows = 4}, 1),
      other(corpus.train(), 5, {.rows = 4}, 2);
  TokenBatch a = fill.batch(), b = fill.batch(), c = fill.batch();
  fill(3, a);
  fill(4, b);
  other(3, c);
  CHECK(a.inputs != b.inputs);
  CHECK(a.inputs != c.inputs);
  for (std::size_t i = 0; i < a.inputs.size(); ++i) {
    CHECK(a.targets[i] == a.inputs[i] + 1);
    CHECK(a.inputs[i] == a.inputs[i - i % 5] + int(i % 5));
  }
}

TEST_CASE("RandomWindows: every window is equally likely, the first and the last included") {
  const auto corpus = counting(12);
  const RandomWindows fill(corpus.train(), 4, {.rows = 8}, 5);  // 8 windows
  TokenBatch batch = fill.batch();
  std::vector<int> count(8);
  constexpr int steps = 2000;
  for (int step = 0; step < steps; ++step) {
    fill(step, batch);
    for (std::size_t row = 0; row < 8; ++row) ++count.at(std::size_t(batch.inputs[4 * row]));
  }
  // Binomial with n = 16000, p = 1/8: five deviations.
  for (const int c : count) CHECK(std::abs(c - steps) < 5 * std::sqrt(8 * steps * 7.0 / 64));
}

TEST_CASE("SampledWindows: an epoch holds the sampler's windows in order") {
  const auto corpus = counting(43);  // 40 windows of 3
  for (int rank = 0; rank < 2; ++rank) {
    DistributedSampler sampler(40, 2, rank, {.seed = 9});
    const SampledWindows fill(corpus.train(), 3, 6, sampler);
    CHECK(fill.num_batches() == 3);  // 20 samples, 2 left out
    Loader loader(fill, {.workers = 2, .count = fill.num_batches()});
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      loader.restart(0, fill.num_batches(), [&] { sampler.set_epoch(epoch); });
      std::int64_t sample = 0;
      for (auto& batch : loader) {
        for (std::size_t row = 0; row < 6; ++row)
          REQUIRE(batch.inputs[3 * row] == sampler[sample++]);
      }
      CHECK(sample == 18);
    }
  }
}

TEST_CASE("EvaluationBlocks: the ranks together predict every token but the first exactly once") {
  for (const int n : {4, 5, 12, 13, 14, 97, 250}) {
    const auto corpus = counting(n);
    for (const int block : {1, 3}) {
      for (const int world : {1, 2, 3, 64}) {
        for (const int rows : {1, 4}) {
          std::vector<int> predicted(std::size_t(n), 0);
          std::int64_t num_batches = -1;
          for (int rank = 0; rank < world; ++rank) {
            const EvaluationBlocks fill(corpus.train(), block, {rank, world, rows});
            if (rank == 0) num_batches = fill.num_batches();
            REQUIRE(fill.num_batches() == num_batches);
            TokenBatch batch = fill.batch();
            for (std::int64_t b = 0; b < num_batches; ++b) {
              fill(b, batch);
              for (std::size_t i = 0; i < batch.targets.size(); ++i) {
                if (batch.targets[i] == ignored_label) {
                  REQUIRE(batch.inputs[i] == 0);
                } else {
                  REQUIRE(batch.targets[i] == batch.inputs[i] + 1);
                  REQUIRE(batch.inputs[i] % block ==
                          int(i) % block);  // rows start on multiples of block
                  ++predicted[std::size_t(batch.targets[i])];
                }
              }
            }
          }
          REQUIRE(predicted[0] == 0);
          for (int t = 1; t < n; ++t) REQUIRE(predicted[std::size_t(t)] == 1);
        }
      }
    }
  }
}

TEST_CASE("EvaluationBlocks: a split that ends inside a row ignores the rest") {
  const auto corpus = counting(8);
  const EvaluationBlocks fill(corpus.train(), 3, {.rows = 4});
  CHECK(fill.num_targets() == 7);
  CHECK(fill.num_batches() == 1);
  TokenBatch batch = fill.batch();
  fill(0, batch);
  constexpr int skip = ignored_label;
  CHECK(batch.inputs == Ints{0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0});
  CHECK(batch.targets == Ints{1, 2, 3, 4, 5, 6, 7, skip, skip, skip, skip, skip});
}

TEST_CASE("Place: a rank that does not exist or no rows are refused") {
  const auto corpus = counting(20);
  CHECK_THROWS_WITH_AS(
      RandomWindows(corpus.train(), 4, {.rank = 2, .world = 2, .rows = 3}, 0),
      "cohort: Place: 3 rows for rank 2 of 2 ranks; give at least 1 row and a rank from 0 "
      "to world - 1",
      cohort::InvalidInput);
  CHECK_THROWS_AS(EvaluationBlocks(corpus.train(), 4, {.rows = 0}), cohort::InvalidInput);
  CHECK_THROWS_AS(EvaluationBlocks(corpus.validation(), 4, {}), cohort::InvalidInput);
}
