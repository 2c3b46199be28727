// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/clip_grad_value_full_test.cpp: limited elements under every strategy, with masters and without.
#include <doctest/doctest.h>

#include "clipped_values.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("ClipGradValue: a limit that is not reached, further precisions [full]") {
  check_unreached<>();
  check_unreached<MixedPrecision<bf16, bf16>>();
}

TEST_CASE("ClipGradValue: every strategy has the bits of Replicate [full]") {
  SUBCASE("fp32") {
    check_strategy<zoo::GptCase, ShardOptimizer>();
    check_strategy<zoo::GptCase, FullShard>();
  }
  SUBCASE("bf16, fp32 masters") {
    check_strategy<zoo::GptCase, ShardOptimizer, MixedPrecision<bf16, fp32>>();
    check_strategy<zoo::GptCase, FullShard, MixedPrecision<bf16, fp32>>();
  }
  SUBCASE("bf16 alone") {
    check_strategy<zoo::GptCase, ShardOptimizer, MixedPrecision<bf16, bf16>>();
    check_strategy<zoo::GptCase, FullShard, MixedPrecision<bf16, bf16>>();
  }
}

}  // namespace
