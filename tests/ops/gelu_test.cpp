// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gelu_test.cpp: both forms against fp64, slopes against finite differences.
#include <doctest/doctest.h>

#include <cohort/ops/gelu.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
double exact(ops::GeluErf, double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double exact(ops::GeluTanh, double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
/// Fourth order: the error is h^4 times the fifth derivative / 30 plus unit / h, together below 1e-11.
template <class How> double slope(How how, double x) {
  const double h = 1e-3;
  const auto f = [&](double at) { return exact(how, at); };
  return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
}

template <class How, class T> void check_form() {
  const auto x = normal<T>(1003, 1, 3.0), dy = normal<T>(1003, 2);
  std::vector<T> y(x.size()), dx(x.size());
  ops::activation_forward<How>(cpu, x.size(), x.data(), y.data());
  ops::activation_backward<How>(cpu, x.size(), x.data(), dy.data(), dx.data());
  // Phi is good to 4 units (argument, erf or exp, sum, quotient); the slope adds x phi, whose
  // argument x^2 / 2 < 50 where phi counts carries its rounding into 8 more units.
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double size = std::max(1.0, std::fabs(double(x[i])));
    REQUIRE(std::fabs(y[i] - exact(How{}, x[i])) <= 4 * unit<T> * size);
    REQUIRE(std::fabs(dx[i] - dy[i] * slope(How{}, x[i])) <=
            std::fabs(dy[i]) * (12 * unit<T> * size + 1e-11));
  }
}
}  // namespace

TEST_CASE_TEMPLATE("gelu: forward and backward agree with fp64 and finite differences", T, float,
                   double) {
  check_form<ops::GeluErf, T>();
  check_form<ops::GeluTanh, T>();
}

namespace {
/// As far off as a GPU's instructions may be: two units for e^x, one for the quotient.
struct Erring {
  static float exp(float x) {
    return std::nextafter(std::nextafter(ops::OwnMaths::exp(x), 0.0f), 0.0f);
  }
  static float reciprocal(float x) { return std::nextafter(1.0f / x, 0.0f); }
};
}  // namespace

// s (1 - s) computed from s alone would be off by a hundred times the error of s at x = 7.
TEST_CASE("gelu: the tanh form's slope is as good far out as near 0") {
  for (float x = -12; x < 12; x += 0.0013f) {
    const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * double(x) * x * x);
    const double du = std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * double(x) * x);
    const double e = std::exp(-2 * std::fabs(u)), near_1 = 1 / (1 + e),
                 spread = near_1 * near_1 * e;
    const double want = (u < 0 ? e * near_1 : near_1) + 2 * x * du * spread;
    // u rounds 3 times and is at most 2 where the slope bends; e, s and the sum add the rest.
    REQUIRE(std::fabs(ops::GeluTanh::slope(x) - want) <= 5 * unit<float>);
    REQUIRE(std::fabs(ops::GeluTanh::slope(x, Erring{}) - want) <= 7 * unit<float>);
  }
}

// Python 3.11 at x = 1.5: x * 0.5 * (1 + math.erf(x / 2**0.5)), and the tanh form.
TEST_CASE("gelu: published values") {
  const double x = 1.5;
  double y = 0;
  ops::activation_forward<ops::GeluErf>(cpu, 1, &x, &y);
  CHECK(y == doctest::Approx(1.399789198096713).epsilon(1e-15));
  ops::activation_forward<ops::GeluTanh>(cpu, 1, &x, &y);
  CHECK(y == doctest::Approx(1.3995715769802328).epsilon(1e-15));
}

TEST_CASE_TEMPLATE("gelu: far out it is 0 or x, its slope 0 or 1; NaN stays", How, ops::GeluErf,
                   ops::GeluTanh) {
  const std::vector<float> x = {-1e4f, -30, 30, 1e4f, NAN}, dy(5, 1.0f);
  std::vector<float> y(5), dx(5);
  ops::activation_forward<How>(cpu, 5, x.data(), y.data());
  ops::activation_backward<How>(cpu, 5, x.data(), dy.data(), dx.data());
  for (int i : {0, 1}) {
    CHECK(std::fabs(y[i]) < 1e-30f);
    CHECK(std::fabs(dx[i]) < 1e-30f);
  }
  for (int i : {2, 3}) {
    CHECK(y[i] == x[i]);
    CHECK(dx[i] == 1);
  }
  CHECK(std::isnan(y[4]));
  CHECK(std::isnan(dx[4]));
}

TEST_CASE_TEMPLATE("gelu: 16-bit values are the fp32 ones rounded once, and near fp64", T, bf16,
                   fp16) {
  const auto check = []<class How>(How how) {
    const auto x = normal<T>(1003, 1, 3.0), dy = normal<T>(1003, 2);
    const auto x32 = as<float>(x), dy32 = as<float>(dy);
    const std::size_t n = x.size();
    std::vector<T> y(n), dx(n), both(n), slope(n);
    std::vector<float> y32(n), dx32(n), slope32(n);
    ops::activation_forward<How>(cpu, n, x.data(), y.data());
    ops::activation_backward<How>(cpu, n, x.data(), dy.data(), dx.data());
    ops::activation_forward<How>(cpu, n, x.data(), both.data(), slope.data());
    ops::activation_forward<How>(cpu, n, x32.data(), y32.data(), slope32.data());
    ops::activation_backward<How>(cpu, n, x32.data(), dy32.data(), dx32.data());
    CHECK(same_bits(y, as<T>(y32)));
    CHECK(same_bits(both, y));
    CHECK(same_bits(slope, as<T>(slope32)));
    CHECK(same_bits(dx, as<T>(dx32)));
    for (std::size_t i = 0; i < n; ++i) {  // the bounds of check_form in fp32, then one rounding
      const double size = std::max(1.0, std::fabs(value(x[i]))), d = value(dy[i]);
      const double want = exact(how, value(x[i])), want_dx = d * ::slope(how, value(x[i]));
      const double error = 4 * unit<float> * size;
      const double dx_error = std::fabs(d) * (12 * unit<float> * size + 1e-11);
      REQUIRE(std::fabs(value(y[i]) - want) <= error + half_ulp<T>(std::fabs(want) + error));
      REQUIRE(std::fabs(value(dx[i]) - want_dx) <=
              dx_error + half_ulp<T>(std::fabs(want_dx) + dx_error));
    }
  };
  check(ops::GeluErf{});
  check(ops::GeluTanh{});
}
