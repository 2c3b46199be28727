// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/relu_test.cpp: values, slopes and NaN.
#include <doctest/doctest.h>

#include <cohort/ops/relu.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("relu: max(x, 0), no gradient at and below 0, NaN stays", T, float, double) {
  const std::vector<T> x = {-2, -0.5, 0, 0.5, 2, T(NAN), T(INFINITY), T(-INFINITY), 3};
  std::vector<T> dy(x.size(), T(5));
  dy[0] = T(INFINITY), dy[2] = T(NAN);
  std::vector<T> y(x.size()), dx(x.size());
  ops::activation_forward<ops::Relu>(cpu, x.size(), x.data(), y.data());
  ops::activation_backward<ops::Relu>(cpu, x.size(), x.data(), dy.data(), dx.data());
  const std::vector<T> want_y = {0, 0, 0, 0.5, 2, 0, T(INFINITY), 0, 3};
  const std::vector<T> want_dx = {0, 0, 0, 5, 5, 5, 5, 0, 5};
  CHECK(std::isnan(y[5]));
  y[5] = 0;
  CHECK(y == want_y);
  CHECK(dx == want_dx);
}

TEST_CASE("relu: the saved output serves backward as well as the input") {
  const auto x = normal<float>(333, 1), dy = normal<float>(333, 2);
  std::vector<float> y(333), from_x(333), from_y(333);
  ops::activation_forward<ops::Relu>(cpu, 333, x.data(), y.data());
  ops::activation_backward<ops::Relu>(cpu, 333, x.data(), dy.data(), from_x.data());
  ops::activation_backward<ops::Relu>(cpu, 333, y.data(), dy.data(), from_y.data());
  CHECK(same_bits(from_x, from_y));
}

TEST_CASE_TEMPLATE("relu: 16-bit values pass or become 0, bit by bit", T, bf16, fp16) {
  auto x = normal<T>(200, 1);
  x[3] = T(0.0f), x[4] = T(-0.0f), x[5] = T(NAN), x[6] = T(-INFINITY);
  const auto dy = normal<T>(200, 2);
  std::vector<T> y(200), dx(200);
  ops::activation_forward<ops::Relu>(cpu, 200, x.data(), y.data());
  ops::activation_backward<ops::Relu>(cpu, 200, x.data(), dy.data(), dx.data());
  for (std::size_t i = 0; i < 200; ++i) {
    const float v = float(x[i]);
    REQUIRE((v < 0 ? y[i].bits == 0 : y[i].bits == x[i].bits));
    REQUIRE(dx[i].bits == (v <= 0 ? T(0.0f) : dy[i]).bits);
  }
}
