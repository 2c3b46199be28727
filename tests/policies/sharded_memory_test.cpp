// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/sharded_memory_test.cpp: what a rank says it holds is where it was written, and all ranks hold
// everything.
#include <cohort/policies/sharded_memory.hpp>

#include <doctest/doctest.h>

#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/trainer.hpp>
#include <mutex>
#include <set>

#include "../support/models.hpp"

using namespace cohort;

namespace {

using Case = zoo::PartlyFrozenCase;
using Bf16WithMasters = MixedPrecision<bf16, fp32>;
using PureBf16 = MixedPrecision<bf16, bf16>;
using InFp32 = MixedPrecision<fp32, fp32>;

template <class How, class Precision>
using PlanOf = typename Trainer<Case::Model, Case::Loss, DataParallel<How>, Precision,
                                Groups<ByRepeat>, optim::AdamW>::plan_type;
template <class How, class Precision>
using MemoryOf = detail::ShardedMemory<PlanOf<How, Precision>, Threads>;

/// What is written into element k of parameter i: exact in bf16, and neighbours differ.
float value(std::size_t i, std::size_t k) { return static_cast<float>((31 * i + 7 * k) % 251); }

template <class Memory, class Plan> void write_all(Memory& memory) {
  memory.edit([&] {
    for (std::size_t i = 0; i < Plan::layout.params.size(); ++i)
      for (std::size_t k = 0; k < Plan::layout.params[i].numel; ++k)
        memory.write(Plan::layout.params[i], k, value(i, k));
  });
}

/// What ranks count together.
struct Tally {
  std::mutex mutex;
  std::vector<std::vector<int>> held, owned;  // by parameter and element: how many ranks
  int wrong = 0;
};

/// Checks one rank's runs against write(), holds() and local(), and counts what it holds.
template <class Plan, class Memory> void check_rank(Memory& memory, Tally& tally) {
  write_all<Memory, Plan>(memory);
  const std::lock_guard lock(tally.mutex);
  const auto count = [&](const HeldRun& run, Copies copies, std::size_t size) {
    const HeldRun mine = clipped(run, copies.begin(size), copies.end(size));
    for (std::size_t k = 0; k < run.count; ++k)
      ++tally.held[static_cast<std::size_t>(run.param)][run.first + k];
    for (std::size_t k = 0; k < mine.count; ++k)
      ++tally.owned[static_cast<std::size_t>(run.param)][mine.first + k];
    tally.wrong += run.local + run.count > size;
  };
  std::set<const void*> moments;
  std::size_t elements = 0;
  memory.for_each_held([&](const HeldRun& run, auto* values, auto* moment) {
    const auto i = static_cast<std::size_t>(run.param);
    const ParamInfo& p = Plan::layout.params[i];
    count(run, memory.copies(), memory.size());
    moments.insert(moment - run.local);
    elements += run.count;
    for (std::size_t k = 0; k < run.count; ++k) {
      tally.wrong += static_cast<float>(values[k]) != value(i, run.first + k);
      tally.wrong += !memory.holds(p, run.first + k);
      tally.wrong += memory.local(p.offset + run.first + k, p.unit) !=
                     static_cast<std::ptrdiff_t>(run.local + k);
    }
  });
  tally.wrong += elements > 0 && moments.size() != 1;  // one range of moments, in the shard's order
  memory.for_each_held_frozen([&](const HeldRun& run, auto* values) {
    const auto i = static_cast<std::size_t>(run.param);
    count(run, memory.frozen_copies(), memory.frozen_size());
    for (std::size_t k = 0; k < run.count; ++k) {
      tally.wrong += static_cast<float>(values[k]) != value(i, run.first + k);
      tally.wrong += !memory.holds(Plan::layout.params[i], run.first + k);
    }
  });
}

template <class How, class Precision> void check(int ranks) {
  using Plan = PlanOf<How, Precision>;
  CAPTURE(ranks);
  Tally tally;
  for (const ParamInfo& p : Plan::layout.params) tally.held.emplace_back(p.numel, 0);
  tally.owned = tally.held;
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    MemoryOf<How, Precision> memory(world, {});
    check_rank<Plan>(memory, tally);
  });
  CHECK(tally.wrong == 0);
  const int copies = How::shard_ranks == 0 ? 1 : ranks / How::shard_ranks;
  int not_held = 0, not_owned = 0;
  for (std::size_t i = 0; i < tally.held.size(); ++i) {
    const bool whole = !Plan::layout.params[i].trains && !How::shards_params;
    for (const int n : tally.held[i]) not_held += n != (whole ? ranks : copies);
    for (const int n : tally.owned[i]) not_owned += n != 1;
  }
  CHECK(not_held == 0);
  CHECK(not_owned == 0);
}
template <class How> void check_precisions(std::initializer_list<int> rank_counts) {
  for (int ranks : rank_counts) {
    check<How, InFp32>(ranks);
    check<How, Bf16WithMasters>(ranks);
    check<How, PureBf16>(ranks);
  }
}

TEST_CASE("sharded memory: runs are where write() writes; ranks own every element once") {
  check_precisions<ShardOptimizer>({1, 2, 3, 5});
  check_precisions<ShardGradients>({1, 3});
  check_precisions<FullShard>({1, 2, 3, 5, 16});
  check_precisions<HybridShard<2>>({2, 4, 6});
  check_precisions<HybridShard<3>>({3, 6});
}

TEST_CASE("sharded memory: no rank holds more than the plan says") {
  launch<Threads>({.ranks = 4}, [](Threads& world) {
    using Plan = PlanOf<HybridShard<2>, Bf16WithMasters>;
    const MemoryOf<HybridShard<2>, Bf16WithMasters> memory(world, {});
    if (memory.size() != Plan::shards.shard(2) || memory.copies().count != 2 ||
        memory.copies().index != world.rank() / 2 ||
        memory.frozen_size() != Plan::shards.frozen.shard(2))
      throw InvalidInput(world.rank(), "test", "other sizes than the plan's");
  });
}

}  // namespace
