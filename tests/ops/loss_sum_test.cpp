// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/loss_sum_test.cpp: adding sums and weights.
#include <doctest/doctest.h>

#include <cohort/ops/loss_sum.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE("loss_sum: sums and weights add; the mean is taken once") {
  ops::LossSum total{6.0, 2.0};
  total += {1.0, 2.0};
  CHECK(total.sum == 7.0);
  CHECK(total.weight == 4.0);
  CHECK(total.mean() == 1.75);
  CHECK(std::isnan(ops::LossSum{}.mean()));
}
