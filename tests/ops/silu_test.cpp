// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/silu_test.cpp: value, slope and gate against fp64, far out, in 16 bits.
#include <doctest/doctest.h>

#include <cohort/ops/silu.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exact(double x) { return x * sigmoid(x); }
double slope(double x) { return sigmoid(x) + x * sigmoid(x) * sigmoid(-x); }
constexpr int C = 37;  // no whole number of registers

/// x = [gate | up] by rows, from both halves.
template <class T> std::vector<T> joined(const std::vector<T>& gate, const std::vector<T>& up) {
  std::vector<T> x;
  for (std::size_t i = 0; i < gate.size(); i += C) {
    const auto at = static_cast<std::ptrdiff_t>(i);
    x.insert(x.end(), gate.begin() + at, gate.begin() + at + C);
    x.insert(x.end(), up.begin() + at, up.begin() + at + C);
  }
  return x;
}
}  // namespace

TEST_CASE_TEMPLATE("silu: forward and backward agree with fp64", T, float, double) {
  const auto x = normal<T>(1003, 1, 4.0), dy = normal<T>(1003, 2);
  std::vector<T> y(x.size()), dx(x.size());
  ops::silu_forward(cpu, x.size(), x.data(), y.data());
  ops::silu_backward(cpu, x.size(), x.data(), dy.data(), dx.data());
  // e^-x and the quotient leave 3 units on s, which counts by x: x s (1 - s) stays below 0.3.
  for (std::size_t i = 0; i < x.size(); ++i) {
    REQUIRE(std::fabs(y[i] - exact(x[i])) <= 4 * unit<T> * std::fabs(exact(x[i])));
    REQUIRE(std::fabs(dx[i] - dy[i] * slope(x[i])) <= 8 * unit<T> * std::fabs(dy[i]));
  }
}

TEST_CASE("silu: published values, by Python's math.exp") {
  const double x[] = {1.0, -2.5};
  double y[2];
  ops::silu_forward(cpu, 2, x, y);
  CHECK(y[0] == doctest::Approx(0.7310585786300049).epsilon(1e-15));
  CHECK(y[1] == doctest::Approx(-0.18964545005310887).epsilon(1e-15));
}

TEST_CASE("silu: far out it is 0 or x, its slope 0 or 1; NaN stays") {
  const std::vector<float> x = {-1e4f, -200, 200, 1e4f, NAN}, dy(5, 1.0f);
  std::vector<float> y(5), dx(5);
  ops::silu_forward(cpu, 5, x.data(), y.data());
  ops::silu_backward(cpu, 5, x.data(), dy.data(), dx.data());
  for (std::size_t i : {0, 1}) CHECK((y[i] == 0 && dx[i] == 0));
  for (std::size_t i : {2, 3}) CHECK((y[i] == x[i] && dx[i] == 1));
  CHECK((std::isnan(y[4]) && std::isnan(dx[4])));
}

TEST_CASE_TEMPLATE("swiglu: the product of silu's bits, its gradients by fp64", T, float, double) {
  const std::size_t rows = 9, n = rows * C;
  const auto gate = normal<T>(n, 1, 3.0), up = normal<T>(n, 2), dy = normal<T>(n, 3);
  const auto x = joined(gate, up);
  std::vector<T> y(n), dx(2 * n), opened(n), in_place = x;
  ops::swiglu_forward<C>(cpu, rows, x.data(), y.data());
  ops::swiglu_backward<C>(cpu, rows, x.data(), dy.data(), dx.data());
  ops::swiglu_backward<C>(cpu, rows, in_place.data(), dy.data(), in_place.data());
  CHECK(same_bits(in_place, dx));
  ops::silu_forward(cpu, n, gate.data(), opened.data());
  for (std::size_t i = 0; i < n; ++i) {
    REQUIRE(y[i] == opened[i] * up[i]);
    const std::size_t at = i / C * 2 * C + i % C;
    const double d = double(dy[i]) * up[i];
    REQUIRE(std::fabs(dx[at] - d * slope(gate[i])) <= 10 * unit<T> * std::fabs(d));
    REQUIRE(std::fabs(dx[at + C] - dy[i] * exact(gate[i])) <=
            5 * unit<T> * std::fabs(dy[i] * exact(gate[i])));
  }
}

TEST_CASE_TEMPLATE("silu, swiglu: 16-bit values are the fp32 ones rounded once", T, bf16, fp16) {
  const std::size_t rows = 11, n = rows * C;
  const auto x = normal<T>(2 * n, 1, 3.0), dy = normal<T>(2 * n, 2);
  const auto x32 = as<float>(x), dy32 = as<float>(dy);
  std::vector<T> y(2 * n), dx(2 * n), gated(n), dgated(2 * n);
  std::vector<float> y32(2 * n), dx32(2 * n), gated32(n), dgated32(2 * n);
  const auto run = [&](const auto& from, const auto& of, auto& a, auto& b, auto& c, auto& d) {
    ops::silu_forward(cpu, 2 * n, from.data(), a.data());
    ops::silu_backward(cpu, 2 * n, from.data(), of.data(), b.data());
    ops::swiglu_forward<C>(cpu, rows, from.data(), c.data());
    ops::swiglu_backward<C>(cpu, rows, from.data(), of.data(), d.data());
  };
  run(x, dy, y, dx, gated, dgated);
  run(x32, dy32, y32, dx32, gated32, dgated32);
  CHECK(same_bits(y, as<T>(y32)));
  CHECK(same_bits(dx, as<T>(dx32)));
  CHECK(same_bits(gated, as<T>(gated32)));
  CHECK(same_bits(dgated, as<T>(dgated32)));
}
