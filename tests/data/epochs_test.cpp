// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/epochs_test.cpp: epochs deal the sampler's windows, on every rank the same number.
#include <cohort/data/epochs.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace cohort;
using namespace cohort::data;

namespace {

struct World {
  int r, n;
  int rank() const { return r; }
  int size() const { return n; }
};

CharCorpus alphabet() {
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>('!' + i % 90);
  return CharCorpus::from_text(text);
}

TEST_CASE("epochs: the windows of epoch e are DistributedSampler's after set_epoch(e)") {
  const CharCorpus corpus = alphabet();
  const Windows windows(corpus.train(), 7);
  for (int workers : {0, 2}) {
    for (int rank = 0; rank < 3; ++rank) {
      DistributedSampler expected(windows.size(), 3, rank, {.seed = 5, .drop_last = true});
      auto range = epochs(World{rank, 3}, corpus.train(),
                          {.rows = 4, .block = 7, .epochs = 3, .seed = 5, .workers = workers});
      CHECK(range.batches_per_epoch() == expected.size() / 4);
      std::int64_t count = 0;
      TokenBatch window(1, 7);
      for (TokenBatch& batch : range) {
        const std::int64_t epoch = count / range.batches_per_epoch();
        const std::int64_t b = count++ % range.batches_per_epoch();
        CHECK(range.epoch() == epoch);
        if (b == 0) expected.set_epoch(epoch);
        for (int row = 0; row < 4; ++row) {
          windows.copy(expected[b * 4 + row], window, 0);
          const auto from = batch.inputs.begin() + row * 7;
          CHECK(std::vector<int>(from, from + 7) == window.inputs);
          const auto to = batch.targets.begin() + row * 7;
          CHECK(std::vector<int>(to, to + 7) == window.targets);
        }
      }
      CHECK(count == 3 * range.batches_per_epoch());
    }
  }
}

TEST_CASE("epochs: a second loop begins again, a resumed one where it is told") {
  const CharCorpus corpus = alphabet();
  const EpochOptions options{.rows = 5, .block = 8, .epochs = 2, .seed = 1};
  auto range = epochs(World{0, 1}, corpus.train(), options);
  std::vector<std::vector<int>> first, second, resumed;
  for (auto& batch : range) first.push_back(batch.inputs);
  for (auto& batch : range) second.push_back(batch.inputs);
  CHECK(first == second);
  EpochOptions later = options;
  later.first_epoch = 1;
  auto rest = epochs(World{0, 1}, corpus.train(), later);
  for (auto& batch : rest) resumed.push_back(batch.inputs);
  first.erase(first.begin(), first.begin() + range.batches_per_epoch());
  CHECK(resumed == first);
  CHECK(resumed != std::vector(second.begin(), second.begin() + range.batches_per_epoch()));
}

TEST_CASE("epochs: a text without a batch for every rank is refused") {
  const CharCorpus corpus = alphabet();
  const auto ask = [&](int ranks, EpochOptions options) {
    try {
      epochs(World{0, ranks}, corpus.train(), options);
    } catch (const InvalidInput& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(ask(1, {.rows = 100, .block = 64}) == "");  // 180 - 64 = 116 windows
  CHECK(ask(2, {.rows = 100, .block = 64}).find("one batch of 100 rows on each of 2 ranks") !=
        std::string::npos);
  CHECK(ask(1, {.rows = 1, .block = 8, .epochs = -1}).find("give 0 or more") != std::string::npos);
  CHECK(ask(1, {.rows = 1, .block = 8, .epochs = 0}) == "");
}

}  // namespace
