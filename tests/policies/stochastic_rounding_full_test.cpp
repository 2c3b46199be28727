// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/stochastic_rounding_full_test.cpp: random rounding under every strategy.
#include <doctest/doctest.h>

#include "mixed.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("StochasticRounding: every strategy has the bits of Replicate [full]") {
  check_mixed<zoo::GptCase, 1, MixedPrecision<bf16, bf16>, StochasticRounding>({1, 3},
                                                                               both_streams[1]);
}
TEST_CASE("StochasticRounding: the heap of a Gpt's run is the planned peak, to the byte [full]") {
  using Run = MixedRun<zoo::GptCase, FullShard, 1, MixedPrecision<bf16, bf16>, StochasticRounding>;
  check_heap<Run, zoo::GptCase>(3);
  check_steps_allocate_nothing<Run, zoo::GptCase>(2);
}

}  // namespace
