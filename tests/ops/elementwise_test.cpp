// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/elementwise_test.cpp: sums, scaling, filling.
#include <doctest/doctest.h>

#include <cmath>
#include <cohort/ops/elementwise.hpp>
#include <limits>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("elementwise: add, add_to, multiply, scale and fill touch n elements", T, float,
                   double) {
  for (std::size_t n : {0, 1, 15, 64, 131}) {
    const auto a = normal<T>(n, 1), b = normal<T>(n, 2);
    std::vector<T> sum(n), in_place = a, product(n), scaled = a, filled(n + 1, T(9));
    ops::add(cpu, n, a.data(), b.data(), sum.data());
    ops::add_to(cpu, n, in_place.data(), b.data());
    ops::multiply(cpu, n, a.data(), b.data(), product.data());
    ops::scale(cpu, n, scaled.data(), T(0.3));
    ops::fill(cpu, n, filled.data(), T(2));
    std::vector<T> copied(n);
    ops::copy(cpu, n, static_cast<const T*>(a.data()), copied.data());
    for (std::size_t i = 0; i < n; ++i) {
      REQUIRE(sum[i] == a[i] + b[i]);
      REQUIRE(in_place[i] == sum[i]);
      REQUIRE(product[i] == a[i] * b[i]);
      REQUIRE(scaled[i] == a[i] * T(0.3));
      REQUIRE(filled[i] == T(2));
      REQUIRE(copied[i] == a[i]);
    }
    CHECK(filled[n] == T(9));
  }
}

TEST_CASE_TEMPLATE("elementwise: 16-bit arrays are worked on in fp32 and rounded once", T, bf16,
                   fp16) {
  for (std::size_t n : {0, 1, 15, 64, 131}) {
    const auto a = normal<T>(n, 1), b = normal<T>(n, 2);
    std::vector<T> sum(n), in_place = a, product(n), scaled = a, filled(n + 1, T(9.0f));
    ops::add(cpu, n, a.data(), b.data(), sum.data());
    ops::add_to(cpu, n, in_place.data(), b.data());
    ops::multiply(cpu, n, a.data(), b.data(), product.data());
    ops::scale(cpu, n, scaled.data(), 0.3f);
    ops::fill(cpu, n, filled.data(), T(2.0f));
    for (std::size_t i = 0; i < n; ++i) {
      const float u = float(a[i]), v = float(b[i]);
      REQUIRE(sum[i].bits == T(u + v).bits);
      REQUIRE(in_place[i].bits == T(u + v).bits);
      REQUIRE(product[i].bits == T(u * v).bits);
      REQUIRE(scaled[i].bits == T(u * 0.3f).bits);
      REQUIRE(filled[i].bits == T(2.0f).bits);
    }
    CHECK(filled[n].bits == T(9.0f).bits);
  }
}

TEST_CASE_TEMPLATE("elementwise: a 16-bit array is added to an fp32 one without a rounding to T", T,
                   bf16, fp16) {
  const auto start = normal<float>(131, 1);
  const auto b = normal<T>(131, 2);
  auto a = start;
  ops::add_to(cpu, a.size(), a.data(), b.data());
  int held_by_T = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE(a[i] == start[i] + float(b[i]));
    held_by_T += float(T(a[i])) == a[i];
  }
  CHECK(held_by_T < 20);  // sums of 24 bits end in 13 zeros, or more, once in 8192
}
TEST_CASE_TEMPLATE("elementwise: clamp limits both sides, in place too, and lets NaN through", T,
                   float, double) {
  const DefaultCpu cpu;
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> a{-3, -2, T(-1.5), T(-0.0), 0, 1, 2, T(2.5), inf, -inf, nan}, y(12, T(9));
  const std::vector<T> expected{-2, -2, T(-1.5), 0, 0, 1, 2, 2, 2, -2};
  ops::clamp(cpu, a.size(), a.data(), T(2), y.data());
  ops::clamp(cpu, a.size(), a.data(), T(2), a.data());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK((y[i] == expected[i] && a[i] == y[i]));
  CHECK((std::isnan(y[10]) && std::isnan(a[10]) && y[11] == 9));
}
