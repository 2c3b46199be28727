// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/linear_test.cpp: Linear against PyTorch and finite differences.
#include <doctest/doctest.h>
#include <cohort/nn/linear.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Plain = nn::Linear<10, 7>;
using NoBias = nn::Linear<10, 7, nn::NoBias>;
static_assert(Layer<Plain> && Layer<NoBias> && Layer<nn::Linear<1, 1>>);
static_assert(num_params<Plain>() == 2 && num_params<NoBias>() == 1);
static_assert(params_of<Plain>::at<0>::decays && !params_of<Plain>::at<1>::decays);
static_assert(std::is_same_v<params_of<Plain>::at<0>::initialiser, init::UniformFanIn>);
static_assert(std::is_same_v<params_of<Plain>::at<1>::initialiser, init::Zeros>);
static_assert(std::is_same_v<
              params_of<nn::Linear<2, 3, nn::NoBias, init::Ones>>::at<0>::initialiser, init::Ones>);

template <class L, class T> void compare(const std::string& name) {
  CAPTURE(name);
  zoo::OneLayer<L, T> one({6, 1});
  for (const auto& p : parameter_names<L>()) one.set(p, pytorch().values(name + ".in." + p));
  const auto x = given<T>(name + ".in.x"), dy = given<T>(name + ".in.dy");
  one.run(x, dy);
  const double X = largest(x), D = largest(dy), W = largest(one.parameter("weight"));
  // A sum of n products has an error of at most (n + 1) units of the sum of their sizes.
  const auto bound = [](int n, double a, double b) { return (n + 1) * n * a * b * unit<T>; };
  CHECK(distance(one.y, name + ".f64.y") <= bound(10, X, W) + 4 * unit<T>);
  CHECK(distance(one.dx, name + ".f64.dx") <= bound(7, D, W));
  CHECK(distance(one.gradient("weight"), name + ".f64.dweight") <= bound(6, D, X));
  if constexpr (L::has_bias)
    CHECK(distance(one.gradient("bias"), name + ".f64.dbias") <= bound(6, D, 1));
}
}  // namespace

TEST_CASE_TEMPLATE("linear: PyTorch's values, forward and backward", T, float, double) {
  compare<Plain, T>("linear");
  compare<NoBias, T>("linear_no_bias");
}

TEST_CASE("linear: finite differences") {
  CHECK(check_gradients<nn::Linear<5, 7>>().ok());
  CHECK(check_gradients<nn::Linear<5, 7, nn::NoBias>>().ok());
  CHECK(check_gradients<nn::Linear<1, 1>>({.rows = {1, 1}}).ok());
  CHECK(check_gradients<nn::Linear<70, 33>>({.rows = {3, 5}}).ok());
}

TEST_CASE("linear: the first contribution overwrites, the next adds") {
  check_accumulates<nn::Linear<5, 70>>({3, 4});
  check_accumulates<nn::Linear<5, 3, nn::NoBias>>({3, 4});
}

TEST_CASE("linear: no rows give no output and a zero gradient") {
  zoo::OneLayer<nn::Linear<3, 2>> one({0, 1});
  one.draw(1);
  one.fill_gradients(99.0f);
  CHECK_NOTHROW(one.run({}, {}));
  CHECK(one.y.empty());
  CHECK(largest(one.gradient("weight")) == 0);
  CHECK(largest(one.gradient("bias")) == 0);
}
