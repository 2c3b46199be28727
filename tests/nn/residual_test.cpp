// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/residual_test.cpp: y = x + inner(x), also around layers that pass gradients on.
#include <doctest/doctest.h>
#include <cohort/nn/residual.hpp>

#include "support.hpp"
#include "support/models.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Inner = nn::Linear<5, 5>;
static_assert(Layer<nn::Residual<Inner>> && num_params<nn::Residual<Inner>>() == 2);
// What may stand inside: SameInAndOut, tested in repeat_test.cpp.

template <class L> void check_sum() {
  const Rows rows{2, 2};
  zoo::OneLayer<nn::Residual<L>> outer(rows);
  zoo::OneLayer<L> inner(rows);
  outer.draw(3);
  inner.draw(3);
  const auto x = zoo::normals(20, 1), dy = zoo::normals(20, 2);
  outer.run(x, dy);
  inner.run(x, dy);
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK(outer.y[i] == x[i] + inner.y[i]);
    CHECK(outer.dx[i] == dy[i] + inner.dx[i]);
  }
  for (const auto& name : parameter_names<L>())
    CHECK(outer.gradient("inner." + name) == inner.gradient(name));
}
}  // namespace

TEST_CASE("residual: outputs and input gradients are sums, parameter gradients the inner ones") {
  check_sum<Inner>();
  check_sum<nn::Sequential<nn::Linear<5, 7>, nn::Linear<7, 5>>>();
  check_sum<nn::Gelu<5>>();
}

// AddPosition's dx is dy itself: the sum must go elsewhere, dy belongs to the caller.
TEST_CASE("residual: around a layer that passes dy on, dy stays as it was") {
  using L = nn::Residual<nn::AddPosition<2, 5>>;
  zoo::OneLayer<L> one({2, 2});
  one.draw(3);
  const auto x = zoo::normals(20, 1), dy = zoo::normals(20, 2);
  const auto before = dy;
  one.run(x, dy);
  CHECK(dy == before);
  for (std::size_t i = 0; i < 20; ++i) CHECK(one.dx[i] == 2 * dy[i]);
}

TEST_CASE("residual: finite differences") {
  CHECK(check_gradients<nn::Residual<Inner>>().ok());
  CHECK(check_gradients<nn::Residual<nn::Residual<nn::Gelu<5>>>>().ok());
  CHECK(check_gradients<nn::Residual<nn::AddPosition<4, 5>>>({.rows = {2, 4}}).ok());
  CHECK(check_gradients<nn::Residual<nn::Attention<4, 2>>>().ok());
}

TEST_CASE_TEMPLATE("residual: in 16 bits the inner result is rounded, then the sum", T, bf16,
                   fp16) {
  const InBoth<nn::Residual<Inner>, T> run({2, 3});
  const double W = run.weight("inner.weight"), X = run.largest_x, D = run.D;
  const double y = 5 * X * W + run.weight("inner.bias"), dx = 5 * D * W;
  CHECK(run.y_share(half_ulp<T>(y) + sum_error(6, X, W) + unit<float> * (y + X)) <= 1);
  CHECK(run.dx_share(half_ulp<T>(dx) + sum_error(5, D, W) + unit<float> * (dx + D)) <= 1);
  CHECK(run.gradient_error("inner.weight") <= sum_error(6, D, X));  // dy itself, not a sum of it
  CHECK(run.gradient_error("inner.bias") <= sum_error(6, D, 1));
}
