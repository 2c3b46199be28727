// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/norm_epsilon_test.cpp: ratios as the numbers that they mean, in each type.
#include <doctest/doctest.h>

#include <cohort/nn/norm_epsilon.hpp>

using namespace cohort::nn;

namespace {
struct Half {};
static_assert(detail::SmallRatio<NormEpsilon> && detail::SmallRatio<std::ratio<1, 1000000>>);
static_assert(!detail::SmallRatio<std::ratio<0>> && !detail::SmallRatio<std::ratio<1>> &&
              !detail::SmallRatio<std::ratio<-1, 2>> && !detail::SmallRatio<Half>);
}  // namespace

TEST_CASE("norm epsilon: the number that a literal gives, in fp32 and in fp64") {
  CHECK(detail::epsilon<NormEpsilon, float> == 1e-5f);
  CHECK(detail::epsilon<NormEpsilon, double> == 1e-5);
  CHECK(detail::epsilon<std::ratio<1, 1000000>, float> == 1e-6f);
}
