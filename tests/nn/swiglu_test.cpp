// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/swiglu_test.cpp: the gate against PyTorch and finite differences, alone and in a feed-forward.
#include <doctest/doctest.h>
#include <cohort/nn/swiglu.hpp>

#include <cohort/nn/linear.hpp>
#include <cohort/nn/sequential.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C, int F>
using FeedForward =
    nn::Sequential<nn::Linear<C, 2 * F, nn::NoBias>, nn::SwiGlu<F>, nn::Linear<F, C, nn::NoBias>>;
static_assert(Layer<nn::SwiGlu<3>> && Layer<nn::SwiGlu<3>, DefaultCpu, bf16>);
static_assert(Layer<FeedForward<4, 6>>);
}  // namespace

TEST_CASE_TEMPLATE("SwiGlu: PyTorch's silu(gate) up, forward and backward", T, float, double) {
  const auto x = given<T>("swiglu.in.x"), dy = given<T>("swiglu.in.dy");
  zoo::OneLayer<nn::SwiGlu<12>, T> one({5, 1});
  one.run(x, dy);
  // Five roundings at most, of products of normal numbers below 3 in size.
  CHECK(distance(one.y, "swiglu.f64.y") <= 5 * unit<T> * 9);
  CHECK(distance(one.dx, "swiglu.f64.dx") <= 10 * unit<T> * 9);
}

TEST_CASE("SwiGlu: finite differences, alone and between two Linears") {
  CHECK(check_gradients<nn::SwiGlu<5>>().ok());
  CHECK(check_gradients<FeedForward<4, 6>>().ok());
}

TEST_CASE("SwiGlu: evaluation gives the bits of training") {
  zoo::OneLayer<nn::SwiGlu<33>> one({2, 3});
  const auto x = zoo::normals(6 * 66, 4), dy = zoo::normals(6 * 33, 5);
  one.run(x, dy);
  CHECK(one.evaluate(x) == one.y);
}

TEST_CASE_TEMPLATE("SwiGlu: 16 bits: computed in fp32, rounded once", T, bf16, fp16) {
  const InBoth<nn::SwiGlu<7>, T> run({50, 2});
  const double size = std::max(1.0, run.largest_x) * run.largest_x;
  CHECK(run.y_share(5 * unit<float> * size) <= 1);
  CHECK(run.dx_share(10 * unit<float> * size * (1 + run.D)) <= 1);
}
