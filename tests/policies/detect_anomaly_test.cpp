// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/detect_anomaly_test.cpp: looking changes no bit, no collective, no memory, and costs no allocation.
#include <cohort/policies/detect_anomaly.hpp>

#include <doctest/doctest.h>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Fills<DetectAnomaly, slots::anomalies> && Fills<IgnoreAnomalies, slots::anomalies>);
static_assert(!OnePolicyPerSlot<DetectAnomaly, IgnoreAnomalies>);

namespace {

template <class Case, class How, int N = 1, class Mode = KeepUnsharded, class... More>
void changes_nothing(int ranks) {
  CAPTURE(ranks);
  using Plain = ShardedRun<Case, How, N, Mode, optim::AdamW, More...>;
  using Looks = ShardedRun<Case, How, N, Mode, optim::AdamW, More..., DetectAnomaly>;
  using A = typename Plain::plan_type;
  using B = typename Looks::plan_type;
  static_assert(A::num_collectives() == B::num_collectives());
  static_assert(A::peak_bytes({8, 64, 4}) == B::peak_bytes({8, 64, 4}));
  static_assert(A::wire_bytes({8, 64, 4}) == B::wire_bytes({8, 64, 4}));
  static_assert(A::hash() != B::hash());
  const Setup setup{.ranks = ranks, .steps = 4};
  const auto expected = train_sharded<Plain, Case>(setup);
  const auto seen = train_sharded<Looks, Case>(setup);
  for (std::size_t r = 0; r < seen.size(); ++r) {
    CHECK(same_bits(seen[r], expected[r]));
    CHECK((seen[r].calls == expected[r].calls));
  }
}

TEST_CASE("DetectAnomaly: the bits and the collectives of a run without it") {
  changes_nothing<zoo::PartlyFrozenCase, Replicate>(3);
  changes_nothing<zoo::PartlyFrozenCase, ShardGradients, 3>(2);
  changes_nothing<zoo::TiedGptCase, FullShard, 3, ReduceEach>(2);
  changes_nothing<zoo::BranchingCase, FullShard, 1, KeepUnsharded, MixedPrecision<bf16, fp32>>(2);
  changes_nothing<zoo::GptCase, HybridShard<2>>(4);
}

TEST_CASE("DetectAnomaly: no allocation inside a step") {
  if (!Allocations::available) return;
  using Case = zoo::GptCase;
  using Run = ShardedRun<Case, FullShard, 3, KeepUnsharded, optim::AdamW, DetectAnomaly>;
  launch<Threads>({.ranks = 2}, [](Threads& world) {
    const Setup setup{.ranks = 2};
    auto run = Run::on(world, options_of<Run, Case>(setup));
    const auto batch = batch_of<Case>(setup, 0);
    const auto step = [&] { run.step(batch.x().samples(0, 6), batch.y().samples(0, 6)); };
    step();
    static std::optional<Allocations> count;
    world.barrier();
    if (world.rank() == 0) count.emplace();
    world.barrier();
    for (int i = 0; i < 3; ++i) step();
    world.barrier();
    if (world.rank() == 0) {
      count->stop();
      CHECK_MESSAGE(count->all_threads().count == 0, count->report());
      count.reset();
    }
    world.barrier();
  });
}

}  // namespace
