// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/elementwise_test.cpp: sums, scaling, filling.
#include <doctest/doctest.h>

#include <cohort/ops/elementwise.hpp>

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
    for (std::size_t i = 0; i < n; ++i) {
      REQUIRE(sum[i] == a[i] + b[i]);
      REQUIRE(in_place[i] == sum[i]);
      REQUIRE(product[i] == a[i] * b[i]);
      REQUIRE(scaled[i] == a[i] * T(0.3));
      REQUIRE(filled[i] == T(2));
    }
    CHECK(filled[n] == T(9));
  }
}
