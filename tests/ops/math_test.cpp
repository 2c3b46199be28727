// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/math_test.cpp: errors of the functors against fp64, and special values.
#include <doctest/doctest.h>

#include <bit>
#include <cohort/ops/math.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
struct Worst {
  double ulps = 0;
  int differing = 0;  // scalar against vector, and special values against <cmath>
};

/// The error of f over every step-th float, all exponents and signs, in units in the last place.
template <class F, class R> Worst sweep(F f, R exact, std::uint64_t step = 65521) {
  Worst worst;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += step) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    const float scalar = f(x), vector = f(ops::broadcast(x))[0];
    const double want = exact(double(x));
    const float rounded = std::fabs(want) < 3.4028235677973366e38
                              ? static_cast<float>(want)
                              : std::copysign(INFINITY, want) + (want - want);
    const float target = std::isinf(want) ? static_cast<float>(want) : rounded;
    if (!std::isfinite(target) || !std::isfinite(vector)) {
      const bool overflow = std::fabs(want) >= 3.4028235677973366e38 && std::isinf(vector);
      worst.differing +=
          !(overflow || target == vector || (std::isnan(want) && std::isnan(vector)));
      continue;
    }
    worst.differing += std::bit_cast<std::uint32_t>(scalar) != std::bit_cast<std::uint32_t>(vector);
    int exponent = 0;
    std::frexp(want, &exponent);
    const double ulp = std::ldexp(1.0, std::max(exponent - 24, -149));
    worst.ulps = std::max(worst.ulps, std::fabs(double(vector) - want) / ulp);
  }
  return worst;
}

template <class F> void same_as_cmath(F f, double (*exact)(double)) {
  const float infinity = INFINITY;
  for (float x : {0.0f, -0.0f, infinity, -infinity, NAN, 1e-40f, -1e-40f, 3e38f, -3e38f, -1.0f}) {
    CAPTURE(x);
    const float got = f(ops::broadcast(x))[0];
    const double want = exact(double(x));
    if (std::isnan(want))
      CHECK(std::isnan(got));
    else if (std::fabs(want) > 3.5e38)
      CHECK(got == std::copysign(infinity, static_cast<float>(want > 0) - 0.5f));
    else if (want == 0)
      CHECK((got == 0 && std::signbit(got) == std::signbit(want)));
    else
      CHECK(std::fabs(got - want) <= 2.6 * 1.2e-7 * std::fabs(want) + 2.0e-45);
  }
}
}  // namespace

// The stated bounds, plus half an ulp where the target has no fused multiply-add.
TEST_CASE("math: errors stay below the stated bounds, scalar and vector agree") {
  const auto bounded = [](Worst worst, double bound) {
    CHECK(worst.ulps <= bound + 0.5);
    CHECK(worst.ulps > 0.3);  // the sweep did look at something
    CHECK(worst.differing == 0);
  };
  bounded(sweep(ops::Exp{}, [](double x) { return std::exp(x); }), 1.1);
  bounded(sweep(ops::Log{}, [](double x) { return std::log(x); }), 1.0);
  bounded(sweep(ops::Tanh{}, [](double x) { return std::tanh(x); }), 2.6);
  bounded(sweep(ops::Erf{}, [](double x) { return std::erf(x); }), 1.3);
}

TEST_CASE("math: infinities, NaN, signed zeros and denormals as <cmath>") {
  same_as_cmath(ops::Exp{}, std::exp);
  same_as_cmath(ops::Log{}, std::log);
  same_as_cmath(ops::Tanh{}, std::tanh);
  same_as_cmath(ops::Erf{}, std::erf);
}

TEST_CASE("math: double is <cmath>'s") {
  volatile double unknown = 0.7;  // else the compiler computes the right-hand sides, and better
  const double x = unknown;
  CHECK(ops::Exp{}(x) == std::exp(x));
  CHECK(ops::Erf{}(ops::broadcast(x))[1] == std::erf(x));
  CHECK(ops::Tanh{}(ops::broadcast(-x))[0] == std::tanh(-x));
  CHECK(ops::Log{}(ops::broadcast(x))[0] == std::log(x));
}

TEST_CASE("math: ExpFlushed is Exp where the result is a normal number, and 0 below") {
  for (float x = -87.3f; x < 88.0f; x += 0.01f) {
    const float want = ops::Exp{}(x), got = ops::ExpFlushed{}(ops::broadcast(x))[0];
    REQUIRE(std::bit_cast<int>(got) == std::bit_cast<int>(want));
  }
  for (float x : {-87.4f, -1e30f, -INFINITY}) CHECK(ops::ExpFlushed{}(ops::broadcast(x))[0] == 0);
  CHECK(std::isnan(ops::ExpFlushed{}(ops::broadcast(NAN))[0]));
}

// Python 3.11: math.exp(1), math.log(10), math.tanh(0.5), math.erf(0.5); a unit of float is 6e-8.
TEST_CASE("math: published values") {
  CHECK(ops::Exp{}(1.0f) == doctest::Approx(2.718281828459045).epsilon(2e-7));
  CHECK(ops::Log{}(10.0f) == doctest::Approx(2.302585092994046).epsilon(2e-7));
  CHECK(ops::Tanh{}(0.5f) == doctest::Approx(0.46211715726000973).epsilon(2e-7));
  CHECK(ops::Erf{}(0.5f) == doctest::Approx(0.5204998778130465).epsilon(2e-7));
}
