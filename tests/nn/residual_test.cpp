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
