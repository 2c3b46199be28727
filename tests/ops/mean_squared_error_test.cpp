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

TEST_CASE_TEMPLATE(
    "mean_squared_error: 16-bit outputs against fp32 targets, scaled before rounding", T, bf16,
    fp16) {
  constexpr int C = 13, rows = 5;
  const auto y = normal<T>(rows * C, 1);
  const auto t = normal<float>(rows * C, 2);
  const auto y32 = as<float>(y);
  std::vector<T> dy(y.size());
  const auto loss =
      ops::mean_squared_error_gradient<C>(cpu, rows, y.data(), t.data(), dy.data(), 1024.0f);
  CHECK(loss.sum == ops::mean_squared_error<C>(cpu, rows, y32.data(), t.data()).sum);  // exact
  CHECK(loss.weight == rows * C);
  for (std::size_t i = 0; i < y.size(); ++i)
    REQUIRE(dy[i].bits == T((y32[i] - t[i]) * 2048.0f).bits);
}

TEST_CASE("mean_squared_error: a scale keeps what fp16 cannot hold") {
  const fp16 y(1.0f);
  const float target = 1.0f - 0x1p-24f;  // half of the gradient's 2^-23, two steps of fp16
  fp16 dy;
  ops::mean_squared_error_gradient<1>(cpu, 1, &y, &target, &dy, 0x1p-3f);
  CHECK(float(dy) == 0.0f);  // 2^-26
  ops::mean_squared_error_gradient<1>(cpu, 1, &y, &target, &dy, 0x1p10f);
  CHECK(float(dy) == 0x1p-13f);
}
