// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/silu_test.cpp: value and slope against fp64, and far out.
#include <doctest/doctest.h>

#include <cohort/ops/silu.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exact(double x) { return x * sigmoid(x); }
double slope(double x) { return sigmoid(x) + x * sigmoid(x) * sigmoid(-x); }
}  // namespace

TEST_CASE_TEMPLATE("silu: forward and backward agree with fp64", T, float, double) {
  const auto x = normal<T>(1003, 1, 4.0), dy = normal<T>(1003, 2);
  std::vector<T> y(x.size()), dx(x.size());
  ops::activation_forward<ops::Silu>(cpu, x.size(), x.data(), y.data());
  ops::activation_backward<ops::Silu>(cpu, x.size(), x.data(), dy.data(), dx.data());
  // e^-x and the quotient leave 3 units on s, which counts by x: x s (1 - s) stays below 0.3.
  for (std::size_t i = 0; i < x.size(); ++i) {
    REQUIRE(std::fabs(y[i] - exact(x[i])) <= 4 * unit<T> * std::fabs(exact(x[i])));
    REQUIRE(std::fabs(dx[i] - dy[i] * slope(x[i])) <= 8 * unit<T> * std::fabs(dy[i]));
  }
}

TEST_CASE("silu: published values, by Python's math.exp") {
  const double x[] = {1.0, -2.5};
  double y[2];
  ops::activation_forward<ops::Silu>(cpu, 2, x, y);
  CHECK(y[0] == doctest::Approx(0.7310585786300049).epsilon(1e-15));
  CHECK(y[1] == doctest::Approx(-0.18964545005310887).epsilon(1e-15));
}

TEST_CASE("silu: far out it is 0 or x, its slope 0 or 1; NaN stays") {
  const std::vector<float> x = {-1e4f, -200, 200, 1e4f, NAN}, dy(5, 1.0f);
  std::vector<float> y(5), dx(5);
  ops::activation_forward<ops::Silu>(cpu, 5, x.data(), y.data());
  ops::activation_backward<ops::Silu>(cpu, 5, x.data(), dy.data(), dx.data());
  for (std::size_t i : {0, 1}) CHECK((y[i] == 0 && dx[i] == 0));
  for (std::size_t i : {2, 3}) CHECK((y[i] == x[i] && dx[i] == 1));
  CHECK((std::isnan(y[4]) && std::isnan(dx[4])));
}
