// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/anomalies_full_test.cpp: what anomalies_test.cpp asks, with clipping, in bf16, and of strategies that it leaves out.
#include <doctest/doctest.h>

#include "poisoned.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace poisoned;

namespace {

TEST_CASE("DetectAnomaly: a gradient of one rank, with a norm and in bf16 [full]") {
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    a_gradient<Replicate, ClipGradNorm>(2, 0, stream);
    a_gradient<FullShardKeepForward, ClipGradNorm>(2, 1, stream);
  }
  a_gradient<FullShard, MixedPrecision<bf16, fp32>>(2, 1, StreamMode::automatic);
}
TEST_CASE("DetectAnomaly: the first micro-batch, though gradients stay whole [full]") {
  names_the_micro_batch<PoisonedRun<FullShard, DetectAnomaly, GradAccum<4>>>();
}
TEST_CASE("DetectAnomaly: a parameter that was no number, with masters [full]") {
  names_the_parameter<PoisonedRun<ShardOptimizer, DetectAnomaly, MixedPrecision<bf16, fp32>>>(2);
}

}  // namespace
