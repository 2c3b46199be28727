// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/detect_anomaly_test.cpp: looking changes no bit, no collective, no memory, and costs no allocation.
#include <cohort/policies/detect_anomaly.hpp>

#include <doctest/doctest.h>

#include "looking.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Fills<DetectAnomaly, slots::anomalies> && Fills<IgnoreAnomalies, slots::anomalies>);
static_assert(!OnePolicyPerSlot<DetectAnomaly, IgnoreAnomalies>);

namespace {

TEST_CASE("DetectAnomaly: the bits and the collectives of a run without it") {
  check_looking_changes_nothing<zoo::PartlyFrozenCase, Replicate>(3);
  check_looking_changes_nothing<zoo::GptCase, FullShard, 3>(2);
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
