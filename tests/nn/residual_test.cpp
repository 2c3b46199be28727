// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/residual_test.cpp: y = x + inner(x), also around layers that pass gradients on.
#include <doctest/doctest.h>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/rms_norm.hpp>

#include "support.hpp"
#include "support/models.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Inner = nn::Linear<5, 5>;
static_assert(Layer<nn::Residual<Inner>> && num_params<nn::Residual<Inner>>() == 2);
// What may stand inside: SameInAndOut, tested in repeat_test.cpp.

/// L without what it says of sums: Residual adds for it.
template <class L> struct Apart {
  using Children = cohort::Children<Child<"inner", L>>;
  using Input = typename L::Input;
  using Output = typename L::Output;
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto r = cohort::forward(ctx, p["inner"_p], x);
    return Out{r.y, keep(ctx, "inner"_p = r.saved)};
  }
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    return cohort::backward(ctx, p["inner"_p], s["inner"_p], dy, g["inner"_p]);
  }
};

using Block = nn::Sequential<nn::LayerNorm<6>, nn::LinearGelu<6, 9>, nn::Linear<9, 6>>;
static_assert(AddsForward<Block> && AddsBackward<Block>);
static_assert(AddsForward<nn::Frozen<Block>> && AddsBackward<nn::Frozen<Block>>);
using Attending = nn::Attention<6, 2>;
static_assert(AddsForward<Attending> && AddsBackward<Attending>);
using Ending = nn::Sequential<nn::Linear<6, 6>, nn::Gelu<6>>;  // adds in backward only
static_assert(!AddsForward<Ending> && AddsBackward<Ending>);
using Beginning = nn::Sequential<nn::Gelu<6>, nn::Linear<6, 6>>;
static_assert(AddsForward<Beginning> && !AddsBackward<Beginning>);
using Normed = nn::Sequential<nn::RmsNorm<6>, nn::Attention<6, 3>>;
static_assert(!AddsForward<Apart<Block>> && !AddsBackward<Apart<Block>>);

/// One step of both; in fp32 all bits agree but for dx of a norm, which is rounded once less.
template <class L> void check_against_apart() {
  const Rows rows{3, 2};
  zoo::OneLayer<nn::Residual<L>> one(rows);
  zoo::OneLayer<nn::Residual<Apart<L>>> two(rows);
  one.draw(3);
  two.draw(3);
  const auto x = zoo::normals(36, 1), dy = zoo::normals(36, 2);
  one.run(x, dy);
  two.run(x, dy);
  CHECK(one.activations().used() == one.planned(rows).activations);
  CHECK(one.y == two.y);
  CHECK(distance(one.dx, two.dx) <= 2 * unit<float> * (largest(two.dx) + largest(dy)));
  for (const auto& name : parameter_names<L>())
    CHECK(one.gradient("inner." + name) == two.gradient("inner.inner." + name));
  CHECK(one.evaluate(x) == one.y);
  // The sum takes the place of what was added.
  const std::size_t less = AddsForward<L> ? Tensor<float, 6>::bytes(rows) : 0;
  CHECK(one.planned(rows).activations + less == two.planned(rows).activations);
  CHECK(one.planned(rows).backward <= two.planned(rows).backward);
}

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

TEST_CASE("residual: a layer that adds for itself gives the bits of one that does not") {
  check_against_apart<nn::Linear<6, 6>>();
  check_against_apart<nn::Linear<6, 6, nn::NoBias>>();
  check_against_apart<Block>();
  check_against_apart<Attending>();
  check_against_apart<Normed>();
  check_against_apart<Ending>();
  check_against_apart<Beginning>();
  check_against_apart<nn::Frozen<Block>>();
}

TEST_CASE_TEMPLATE("residual: in 16 bits all bits are those of the passes apart", T, bf16, fp16) {
  const auto check = []<class L>(std::type_identity<L>) {
    zoo::OneLayer<nn::Residual<L>, T> one({3, 2});
    zoo::OneLayer<nn::Residual<Apart<L>>, T> two({3, 2});
    one.draw(3);
    two.draw(3);
    const auto x = zoo::normals<T>(36, 1), dy = zoo::normals<T>(36, 2);
    one.run(x, dy);
    two.run(x, dy);
    CHECK(as<double>(one.y) == as<double>(two.y));
    CHECK(as<double>(one.dx) == as<double>(two.dx));
  };
  check(std::type_identity<nn::LayerNorm<6>>{});
  check(std::type_identity<nn::RmsNorm<6>>{});
  check(std::type_identity<nn::Linear<6, 6>>{});
  check(std::type_identity<Block>{});
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
  CHECK(check_gradients<nn::Residual<Block>>().ok());
  CHECK(check_gradients<nn::Residual<nn::Residual<Normed>>>().ok());
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
