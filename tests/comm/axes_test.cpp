// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/axes_test.cpp: a world as a grid of ranks, for every shape of up to 12 ranks.
#include <cohort/comm/axes.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cohort/comm/recorder.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>

using namespace cohort;

TEST_CASE("axes: rows of neighbours share a copy, columns hold the same part") {
  for (int ranks : {1, 2, 3, 4, 6, 8, 12}) {
    for (int shard : {1, 2, 3, 4, 6, 12}) {
      if (ranks % shard != 0) continue;
      CAPTURE(ranks);
      CAPTURE(shard);
      std::atomic<int> wrong{0};
      launch<Threads>({.ranks = ranks}, [&](Threads& world) {
        Axes<Threads> axes(world, shard);
        const int row = world.rank() / shard, column = world.rank() % shard;
        Threads &across = axes.shard(world), &copies = axes.replicate(world);
        wrong += axes.shard_size() != shard || axes.shard_rank() != column;
        wrong += across.size() != shard || across.rank() != column;
        wrong += copies.size() != ranks / shard || copies.rank() != row;
        std::vector<std::int32_t> seen(12);
        const std::int32_t mine = world.rank();
        across.all_gather(&mine, seen.data(), std::size_t{1});
        for (int r = 0; r < shard; ++r)
          wrong += seen[static_cast<std::size_t>(r)] != row * shard + r;
        copies.all_gather(&mine, seen.data(), std::size_t{1});
        for (int r = 0; r < ranks / shard; ++r)
          wrong += seen[static_cast<std::size_t>(r)] != r * shard + column;
      });
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("axes: without groups the shard axis is the world itself, and nothing is exchanged") {
  launch<Threads>({.ranks = 3}, [](Threads& threads) {
    Recorder<Threads> world(threads.duplicate(), 8);
    Axes<Recorder<Threads>> axes(world, 0);
    CHECK(axes.shard_size() == 3);
    CHECK(axes.shard_rank() == threads.rank());
    CHECK(&axes.shard(world) == &world);
    CHECK(world.log().empty());
  });
}

TEST_CASE(
    "axes: groups that do not fill the world are refused on every rank, before any exchange") {
  for (const auto& [ranks, shard] : {std::pair{1, 2}, {3, 2}, {4, 3}, {5, 4}, {2, 8}}) {
    std::atomic<int> refused{0}, exchanged{0};
    const auto form = [&](Threads& threads) {
      Recorder<Threads> world(threads.duplicate(), 8);
      try {
        Axes<Recorder<Threads>> axes(world, shard);
      } catch (const InvalidInput& e) {
        refused += std::string(e.what()).find("do not fill a world of") != std::string::npos;
        exchanged += !world.log().empty();
      }
    };
    launch<Threads>({.ranks = ranks}, form);
    CHECK(refused == ranks);
    CHECK(exchanged == 0);
  }
}
