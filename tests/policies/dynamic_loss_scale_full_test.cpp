// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/dynamic_loss_scale_full_test.cpp: skipped steps and bits under every strategy.
#include <doctest/doctest.h>

#include "overflows.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace overflows;

namespace {

TEST_CASE("DynamicLossScale: an overflow skips the step on all ranks, further strategies [full]") {
  for (StreamMode stream : both_streams) check_skips<RunOf<ShardOptimizer>>(3, 2, stream);
  check_skips<RunOf<FullShard, NoClip>>(2, 1, both_streams[0]);  // the norm is there for overflows
}
TEST_CASE("DynamicLossScale: every strategy has the bits of Replicate [full]") {
  check_mixed<zoo::GptCase, 1, MixedPrecision<fp16, fp32>, DynamicLossScale<>>({3},
                                                                               both_streams[1]);
}

}  // namespace
