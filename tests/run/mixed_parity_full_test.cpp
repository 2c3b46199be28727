// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/mixed_parity_full_test.cpp: another GPT in bf16 beside PyTorch's; reductions in fp16.
#include <doctest/doctest.h>

#include "mixed_parity.hpp"

using namespace cohort;
using namespace cohort::test::mixed_parity;

namespace {

TEST_CASE("mixed: bf16 compute, fp32 masters and reduction are PyTorch's, untied [full]") {
  const Trained other = check_parity<Untied, MixedPrecision<bf16, fp32, fp32>>("mixed_bf16_untied");
  CHECK(share_without(8, other.first_gradients, is_dense) < 0.1);
}

TEST_CASE("mixed: gradients are rounded to fp16, added in fp32, rounded once: bits [full]") {
  // fp16 gradients carry the loss scale over the rank's 64 rows, and are halved for three ranks: so
  // small that many are subnormal, and the order of halving and rounding matters.
  check_reduction<fp16, MixedPrecision<fp16, fp32>, MixedPrecision<fp16, fp32, fp32>,
                  DynamicLossScale<1>>(3, 1.0f / 64 / 2);
}

}  // namespace
