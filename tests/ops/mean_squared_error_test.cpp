// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/mean_squared_error_test.cpp: the sum in fp64, and its gradient.
#include <doctest/doctest.h>

#include <cohort/ops/mean_squared_error.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("mean_squared_error: sum, weight and gradient", T, float, double) {
  constexpr int C = 13, rows = 5;
  const auto y = normal<T>(rows * C, 1), t = normal<T>(rows * C, 2);
  std::vector<T> dy(y.size());
  long double want = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const long double difference = static_cast<long double>(y[i]) - t[i];
    want += difference * difference;
  }
  const auto loss = ops::mean_squared_error_gradient<C>(cpu, rows, y.data(), t.data(), dy.data());
  CHECK(loss.sum ==
        doctest::Approx(double(want)).epsilon(12 * 1.2e-16));  // 2 + 3 + 5 additions deep
  CHECK(loss.weight == rows * C);
  CHECK(ops::mean_squared_error<C>(cpu, rows, y.data(), t.data()).sum == loss.sum);
  for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(dy[i] == T(2) * (y[i] - t[i]));
}
