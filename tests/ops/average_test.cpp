// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/average_test.cpp: running averages by hand, and where they come to rest.
#include <doctest/doctest.h>

#include <cohort/ops/average.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE("begin_average: sums are zero, the samples stand behind them") {
  std::vector<float> sums(67, 5.0f);
  ops::begin_average(cpu, 65, sums.data(), 12.0f);
  for (std::size_t i = 0; i < 65; ++i) CHECK(sums[i] == 0);
  CHECK((sums[65] == 12 && sums[66] == 5));
}

TEST_CASE_TEMPLATE("average: every chunk at its own rate, powers of two exactly", T, float,
                   double) {
  std::vector<T> p(130), sums(131), rates{T(0.25), T(1), T(0.5)};
  for (std::size_t i = 0; i < 130; ++i) p[i] = T(i), sums[i] = T(4 * 8 * i);
  sums[130] = 4;  // samples: the averages are 8 i
  ops::average(cpu, 130, p.data(), static_cast<const T*>(sums.data()),
               static_cast<const T*>(rates.data()));
  for (std::size_t i = 0; i < 130; ++i) CHECK(p[i] == T(i) + rates[i / 64] * (T(8 * i) - T(i)));
}

TEST_CASE("average: n equal steps leave (1 - rate)^n of the distance") {
  float p = 1;
  const float sums[] = {30, 10}, rate = 0.1f;
  for (int n = 1; n <= 50; ++n) {
    ops::average(cpu, 1, &p, sums, &rate);
    CHECK(std::fabs(p - (3 - 2 * std::pow(0.9, n))) <= n * 3 * unit<float>);
  }
}

TEST_CASE("averages_are_finite: of every sum, not of the samples behind them") {
  std::vector<float> sums(68, 1.0f);
  const float* at = sums.data();
  CHECK(ops::averages_are_finite(cpu, 67, at));
  sums[67] = NAN;
  CHECK(ops::averages_are_finite(cpu, 67, at));
  for (const std::size_t i : {0, 40, 66}) {
    sums[i] = i == 40 ? -INFINITY : NAN;
    CHECK_FALSE(ops::averages_are_finite(cpu, 67, at));
    sums[i] = 1;
  }
}
