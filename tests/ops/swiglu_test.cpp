// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/swiglu_test.cpp: the gate against silu's bits and fp64, in 16 bits.
#include <doctest/doctest.h>

#include <cohort/ops/swiglu.hpp>

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

TEST_CASE_TEMPLATE("swiglu: the product of silu's bits, its gradients by fp64", T, float, double) {
  const std::size_t rows = 9, n = rows * C;
  const auto gate = normal<T>(n, 1, 3.0), up = normal<T>(n, 2), dy = normal<T>(n, 3);
  const auto x = joined(gate, up);
  std::vector<T> y(n), dx(2 * n), opened(n), in_place = x;
  ops::swiglu_forward<C>(cpu, rows, x.data(), y.data());
  ops::swiglu_backward<C>(cpu, rows, x.data(), dy.data(), dx.data());
  ops::swiglu_backward<C>(cpu, rows, in_place.data(), dy.data(), in_place.data());
  CHECK(same_bits(in_place, dx));
  ops::activation_forward<ops::Silu>(cpu, n, gate.data(), opened.data());
  for (std::size_t i = 0; i < n; ++i) {
    REQUIRE(y[i] == opened[i] * up[i]);
    const std::size_t at = i / C * 2 * C + i % C;
    const double d = double(dy[i]) * up[i];
    REQUIRE(std::fabs(dx[at] - d * slope(gate[i])) <= 10 * unit<T> * std::fabs(d));
    REQUIRE(std::fabs(dx[at + C] - dy[i] * exact(gate[i])) <=
            5 * unit<T> * std::fabs(dy[i] * exact(gate[i])));
  }
}

TEST_CASE_TEMPLATE("swiglu: 16-bit values are the fp32 ones rounded once", T, bf16, fp16) {
  const std::size_t rows = 11, n = rows * C;
  const auto x = normal<T>(2 * n, 1, 3.0), dy = normal<T>(n, 2);
  const auto x32 = as<float>(x), dy32 = as<float>(dy);
  std::vector<T> y(n), dx(2 * n);
  std::vector<float> y32(n), dx32(2 * n);
  ops::swiglu_forward<C>(cpu, rows, x.data(), y.data());
  ops::swiglu_backward<C>(cpu, rows, x.data(), dy.data(), dx.data());
  ops::swiglu_forward<C>(cpu, rows, x32.data(), y32.data());
  ops::swiglu_backward<C>(cpu, rows, x32.data(), dy32.data(), dx32.data());
  CHECK(same_bits(y, as<T>(y32)));
  CHECK(same_bits(dx, as<T>(dx32)));
}
