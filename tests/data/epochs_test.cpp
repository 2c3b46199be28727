// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/epochs_test.cpp: epochs deal the sampler's windows, on every rank the same number.
#include <cohort/data/epochs.hpp>

#include <doctest/doctest.h>

#include <cstddef>
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
  std::vector<std::vector<int>> first, second, resumed, again;
  for (auto& batch : range) first.push_back(batch.inputs);
  for (auto& batch : range) second.push_back(batch.inputs);
  CHECK(first == second);
  EpochOptions later = options;
  later.from = {.epoch = 1};
  auto rest = epochs(World{0, 1}, corpus.train(), later);
  for (auto& batch : rest) resumed.push_back(batch.inputs);
  for (auto& batch : rest) again.push_back(batch.inputs);
  first.erase(first.begin(), first.begin() + range.batches_per_epoch());
  CHECK(resumed == first);
  CHECK(again == resumed);
  CHECK(resumed != std::vector(second.begin(), second.begin() + range.batches_per_epoch()));
}

TEST_CASE(
    "epochs: dealt out as to eight ranks, two ranks take four ranks' rows each, in their order") {
  const CharCorpus corpus = alphabet();
  const auto batches = [&](World world, int rows, data::Position from) {
    std::vector<std::vector<int>> all;
    auto range =
        epochs(world, corpus.train(),
               {.rows = rows, .block = 7, .epochs = 2, .from = from, .seed = 5, .as_ranks = 8});
    for (TokenBatch& batch : range) all.push_back(batch.inputs);
    return all;
  };
  for (const data::Position from : {data::Position{}, data::Position{.epoch = 0, .samples = 48}}) {
    std::vector<std::vector<std::vector<int>>> eight;
    for (int rank = 0; rank < 8; ++rank) {
      EpochOptions plain{.rows = 3, .block = 7, .epochs = 2, .from = from, .seed = 5};
      std::vector<std::vector<int>> all;
      auto range = epochs(World{rank, 8}, corpus.train(), plain);
      for (TokenBatch& batch : range) all.push_back(batch.inputs);
      CHECK(batches(World{rank, 8}, 3, from) == all);
      eight.push_back(all);
    }
    CHECK(eight[0].size() > 3);
    for (const int ranks : {1, 2, 4}) {
      const int parts = 8 / ranks;
      for (int rank = 0; rank < ranks; ++rank) {
        const auto mine = batches(World{rank, ranks}, 3 * parts, from);
        REQUIRE(mine.size() == eight[0].size());
        for (std::size_t b = 0; b < mine.size(); ++b) {
          std::vector<int> want;
          for (int p = rank * parts; p < (rank + 1) * parts; ++p)
            want.insert(want.end(), eight[std::size_t(p)][b].begin(),
                        eight[std::size_t(p)][b].end());
          CHECK(mine[b] == want);
        }
      }
    }
  }
  for (const int as_ranks : {3, 4, -8, 1})  // of two ranks with three rows each
    CHECK_THROWS_AS(
        epochs(World{0, 2}, corpus.train(), {.rows = 3, .block = 7, .as_ranks = as_ranks}),
        InvalidInput);
}

using Batches = std::vector<std::vector<int>>;

/// Every batch of a rank, and the position that a checkpoint in its place would keep.
Batches taken(World world, const CharCorpus& corpus, EpochOptions options,
              std::vector<Position>* positions = nullptr) {
  auto range = epochs(world, corpus.train(), options);
  CHECK(range.position() == options.from);
  Batches out;
  for (auto& batch : range) {
    out.push_back(batch.inputs);
    if (positions) positions->push_back(range.position());
  }
  return out;
}

TEST_CASE("epochs: resumed after any batch, a run sees what the uninterrupted one sees") {
  const CharCorpus corpus = alphabet();  // 180 - 8 = 172 windows
  for (int ranks : {1, 2, 3, 4}) {
    for (int rank = 0; rank < ranks; ++rank) {
      const World world{rank, ranks};
      EpochOptions options{.rows = 5, .block = 8, .epochs = 3, .seed = 1};
      std::vector<Position> positions;
      const Batches whole = taken(world, corpus, options, &positions);
      const int each = 172 / (5 * ranks);
      REQUIRE(whole.size() == std::size_t(3 * each));
      for (std::size_t n = 1; n <= whole.size(); ++n) {
        const auto epoch = std::int64_t(n) / each, batches = std::int64_t(n) % each;
        CHECK(positions[n - 1] == Position{epoch, batches * 5 * ranks});
        options.from = positions[n - 1];
        options.workers = int(n % 2);
        std::vector<Position> later;
        CHECK(taken(world, corpus, options, &later) ==
              Batches(whole.begin() + std::ptrdiff_t(n), whole.end()));
        CHECK(later ==
              std::vector<Position>(positions.begin() + std::ptrdiff_t(n), positions.end()));
      }
    }
  }
}

TEST_CASE("epochs: on other ranks and rows exactly the windows that were not consumed follow") {
  const CharCorpus corpus = alphabet();
  constexpr int windows = 172;
  // Windows are compared with those at the places of the sampler's list that should follow.
  DistributedSampler order(windows, 1, 0, {.seed = 3});
  const auto text = [&](std::int64_t place) {
    const auto tokens = corpus.train().tokens.subspan(std::size_t(order[place]), 8);
    return std::vector<int>(tokens.begin(), tokens.end());
  };
  for (int before : {1, 2, 3, 4}) {
    for (int after : {1, 2, 3, 4}) {
      for (int rows : {3, 7}) {  // 7 after 3: what was consumed is no multiple of the new batch
        const EpochOptions options{.rows = 3, .block = 8, .epochs = 1, .seed = 3};
        std::vector<Position> positions;
        taken({0, before}, corpus, options, &positions);
        positions.pop_back();  // after the last batch the epoch is over
        for (const Position& from : positions) {
          const std::int64_t left = (windows - from.samples) / (after * rows);
          for (int rank = 0; rank < after; ++rank) {
            const Batches rest =
                taken({rank, after}, corpus,
                      {.rows = rows, .block = 8, .epochs = 1, .from = from, .seed = 3});
            REQUIRE(std::int64_t(rest.size()) == left);
            // Places from.samples, from.samples + 1, ... of the list, rank by rank: none twice, none
            // left out but the tail that fills no batch.
            for (std::int64_t i = 0; i < left * rows; ++i) {
              const auto begin = rest[std::size_t(i / rows)].begin() + i % rows * 8;
              CHECK(std::vector<int>(begin, begin + 8) == text(from.samples + rank + i * after));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("epochs: what is left of an epoch may be no batch; the next one follows") {
  const CharCorpus corpus = alphabet();
  const EpochOptions whole{.rows = 50, .block = 8, .epochs = 2, .seed = 3};
  EpochOptions rest = whole;
  rest.from = {0, 150};  // 22 of 172 are left
  const Batches all = taken({0, 1}, corpus, whole), late = taken({0, 1}, corpus, rest);
  CHECK(late == Batches(all.begin() + 3, all.end()));
  rest.from = {2, 0};
  CHECK(taken({0, 1}, corpus, rest).empty());
  rest.epochs = 3;
  CHECK(taken({0, 1}, corpus, rest).size() == 3);
}

TEST_CASE("epochs: a position that the text does not have is refused") {
  const CharCorpus corpus = alphabet();
  const auto ask = [&](Position from) {
    try {
      epochs(World{0, 1}, corpus.train(), {.rows = 5, .block = 8, .from = from});
    } catch (const InvalidInput& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(ask({0, 172}) == "");
  CHECK(ask({0, 173}).find("after 173 windows of an epoch, and the training part of ") !=
        std::string::npos);
  CHECK(ask({0, -1}).find("give 0 or more") != std::string::npos);
  CHECK(ask({-1, 0}).find("give 0 or more") != std::string::npos);
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
