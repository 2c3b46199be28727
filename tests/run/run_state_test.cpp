// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/run_state_test.cpp: law 6, sampled: any strategy and world reads what any other wrote; a resumed
// run is the uninterrupted one.
#include <cohort/run/run_state.hpp>

#include <doctest/doctest.h>

#include "journeys.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Mixed = MixedPrecision<bf16, fp32>;

TEST_CASE("law 6: save -> load is the identity, whatever the strategies and worlds") {
  check_chain<zoo::LittleFrozenCase, Mixed>();
}
TEST_CASE("law 6: a resumed run is the uninterrupted one, bit for bit") {
  check_resumed_runs<zoo::LittleFrozenCase>();
}

TEST_CASE(
    "law 6: dropout and random rounding go on with the seed of the checkpoint, not of the "
    "options") {
  const Way way = test::way<zoo::DroppingGptCase, ShardOptimizer, MixedPrecision<bf16, bf16>,
                            StochasticRounding>("ShardOptimizer");
  check_resumed(way, way, 3);
}

TEST_CASE("law 6: the loss scale goes on, skipped steps and good ones") {
  // Doubles after two good steps and halves when gradients overflow: it has a past of both kinds.
  const Way way = test::way<zoo::OddMlpCase, FullShard, MixedPrecision<fp16, fp32>,
                            DynamicLossScale<(1 << 30), 2, 2, 2>>("FullShard");
  const Arrival whole = check_resumed(way, way, 2, 17, 24);
  CHECK(whole.reports.front().skipped);
  CHECK(whole.reports[16].loss_scale < whole.reports.front().loss_scale);
  CHECK(whole.reports[23].loss_scale != whole.reports[17].loss_scale);
}

}  // namespace
