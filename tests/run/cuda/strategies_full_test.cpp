// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/strategies_full_test.cpp: law 2 on a GPU that ranks share, further models and precisions.
#include <doctest/doctest.h>

#include "agreement.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

/// OddMlp has no Repeat: its groups are named.
using OddGroups = Groups<Each<nn::Linear<7, 13>, nn::Linear<5, 3>>>;

TEST_CASE("GPU, law 2: named groups, accumulation, bf16, and fp16 under a loss scale [full]") {
  strategies_agree<zoo::OddMlpCase, OddGroups>(3, 2, 4);
  strategies_agree<zoo::GptCase, GradAccum<2>>(2, 2, 4);
  strategies_agree<zoo::TiedGptCase, MixedPrecision<bf16, fp32>>(2, 2, 2);
  strategies_agree<zoo::GptCase, MixedPrecision<fp16, fp32, fp32>, DynamicLossScale<>>(2, 2, 2);
}

}  // namespace
