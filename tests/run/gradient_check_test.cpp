// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/gradient_check_test.cpp: a verdict, and the words that people read.
#include <cohort/run/gradient_check.hpp>

#include <doctest/doctest.h>

#include <cmath>

using namespace cohort;

TEST_CASE("GradientCheck: ok where something was compared, within the tolerance") {
  CHECK_FALSE(GradientCheck{}.ok());
  CHECK(GradientCheck{1e-7, "weight", 1, 1, 3}.ok());
  CHECK_FALSE(GradientCheck{1e-5, "weight", 1, 1, 3}.ok());
  CHECK(GradientCheck{1e-5, "weight", 1, 1, 3}.ok(1e-4));
}

TEST_CASE("GradientCheck: what people read") {
  CHECK(to_string(GradientCheck{}) == "nothing was compared");
  CHECK(to_string(GradientCheck{0.5, "2.weight", 2, 1, 30}) ==
        "2.weight: backward says 2, differences say 1, the worst of 30 derivatives");
  CHECK(to_string(GradientCheck{HUGE_VAL, "weight", 0, 0, 3, "it does not add."}) ==
        "weight: it does not add.");
}

TEST_CASE("derivative: exact for polynomials of degree four, and x is put back") {
  double x = 2;
  const auto f = [&] { return x * x * x * x - 3 * x; };
  CHECK(detail::derivative(x, f) == doctest::Approx(4 * 8 - 3).epsilon(1e-9));
  CHECK(x == 2);
}
