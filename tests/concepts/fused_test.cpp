// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/concepts/fused_test.cpp: a layer of one's own that adds while it writes.
#include <doctest/doctest.h>

#include <cohort/concepts/fused.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/run/check_gradients.hpp>

#include "support/one_layer.hpp"

using namespace cohort;

namespace {
int sums = 0;

/// y = 3 x; each of both passes may add.
struct Triple {
  using Input = Features<4>;
  using Output = Features<4>;
  static constexpr bool adds_forward = true, adds_backward = true;

  template <class T, class... Residual>
  static auto forward(auto& ctx, const auto&, Tensor<const T, 4> x, Residual... residual) {
    const auto y = ctx.like(x);
    times_three(x, y, residual...);
    return Out{y, Nothing{}};
  }
  template <class T, class... Residual>
  static auto backward(auto& ctx, const auto&, const auto&, Tensor<const T, 4> dy, const auto&,
                       Residual... residual) {
    const auto dx = ctx.like(dy);
    times_three(dy, dx, residual...);
    return dx;
  }

 private:
  static void times_three(const auto& from, const auto& to) { to.assign(3 * from.wide()); }
  static void times_three(const auto& from, const auto& to, const auto& residual) {
    ++sums;
    to.assign(residual.wide() + 3 * from.wide());
  }
};
struct SaysNo : Triple {
  static constexpr bool adds_forward = false, adds_backward = false;
};
struct Silent {};

static_assert(Layer<Triple> && AddsForward<Triple> && AddsBackward<Triple>);
static_assert(!AddsForward<SaysNo> && !AddsBackward<SaysNo>);
static_assert(!AddsForward<Silent> && !AddsBackward<Silent>);

template <class L> int sums_of_a_step() {
  zoo::OneLayer<nn::Residual<L>> one({2, 1});
  const auto x = zoo::normals(8, 1), dy = zoo::normals(8, 2);
  sums = 0;
  one.run(x, dy);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(one.y[i] == doctest::Approx(4 * x[i]));
    CHECK(one.dx[i] == doctest::Approx(4 * dy[i]));
  }
  return sums;
}
}  // namespace

TEST_CASE("residual concepts: a layer that says it adds is asked to, one that does not is not") {
  CHECK(sums_of_a_step<Triple>() == 2);
  CHECK(sums_of_a_step<nn::Sequential<Triple>>() == 2);
  CHECK(sums_of_a_step<SaysNo>() == 0);
  CHECK(check_gradients<nn::Residual<Triple>>().ok());
}
