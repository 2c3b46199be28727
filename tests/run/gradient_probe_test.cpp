// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/gradient_probe_test.cpp: differences of fourth order, and what a probe's memory holds.
#include <cohort/run/gradient_probe.hpp>

#include <doctest/doctest.h>

using namespace cohort;

namespace {

/// Remembers what its forward and backward find in memory that nobody wrote.
struct Looks {
  using Input = Features<2>;
  using Output = Features<2>;
  static inline bool zero_result = false, zero_scratch = false;
  static constexpr std::size_t scratch_bytes(Rows) { return 64; }
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, 2> x) {
    const auto y = ctx.like(x);
    zero_result = y.data[0] == 0;
    zero_scratch = ctx.template scratch<T>(1)[0] == 0;
    y.assign(x.wide());
    return Out{y, keep(ctx)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto&, Tensor<const T, 2> dy, const auto&) {
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide());
    return dx;
  }
};
}  // namespace

TEST_CASE("derivative: exact for polynomials of degree four, and x is put back") {
  double x = 2;
  const auto f = [&] { return x * x * x * x - 3 * x; };
  CHECK(detail::derivative(x, f) == doctest::Approx(4 * 8 - 3).epsilon(1e-9));
  CHECK(x == 2);
}

TEST_CASE("GradientProbe: memory is NaN, but the kind that is asked for") {
  using Probe = detail::GradientProbe<Looks>;
  Probe probe({});
  probe.gradients();
  CHECK((!Looks::zero_result && !Looks::zero_scratch));
  probe.gradients(true, Probe::Zeroed::results);
  CHECK((Looks::zero_result && !Looks::zero_scratch));
  probe.gradients(true, Probe::Zeroed::scratch);
  CHECK((!Looks::zero_result && Looks::zero_scratch));
  CHECK(probe.run().ok());
}
