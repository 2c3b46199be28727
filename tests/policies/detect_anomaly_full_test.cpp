// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/detect_anomaly_full_test.cpp: looking changes no bit under the other strategies, modes and precisions.
#include <doctest/doctest.h>

#include "looking.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE(
    "DetectAnomaly: the bits and the collectives of a run without it, further strategies [full]") {
  check_looking_changes_nothing<zoo::PartlyFrozenCase, Replicate>(3);
  check_looking_changes_nothing<zoo::GptCase, FullShard, 3>(2);
  check_looking_changes_nothing<zoo::PartlyFrozenCase, ShardGradients, 3>(2);
  check_looking_changes_nothing<zoo::TiedGptCase, FullShard, 3, ReduceEach>(2);
  check_looking_changes_nothing<zoo::BranchingCase, FullShard, 1, KeepUnsharded,
                                MixedPrecision<bf16, fp32>>(2);
  check_looking_changes_nothing<zoo::GptCase, HybridShard<2>>(4);
}
TEST_CASE("DetectAnomaly: no allocation inside a step, a Gpt [full]") {
  check_looking_allocates_nothing<zoo::GptCase>();
}

}  // namespace
