// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/linear_test.cpp: Linear against PyTorch and finite differences.
#include <doctest/doctest.h>
#include <cohort/nn/activations.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/sequential.hpp>

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

/// LinearGelu and the two layers it stands for, on `rows` rows: y, dx and dweight to the bit.
template <class How, class T> void check_fused(int rows) {
  using Fused = nn::LinearGelu<10, 37, nn::WithBias, How>;
  using Two = nn::Sequential<nn::Linear<10, 37>, nn::Gelu<37, How>>;
  static_assert(Layer<Fused> && num_params<Fused>() == 2);
  const auto count = static_cast<std::size_t>(rows);
  const auto x = zoo::normals<T>(count * 10, 1), dy = zoo::normals<T>(count * 37, 2);
  zoo::OneLayer<Fused, T> fused({rows, 1});
  zoo::OneLayer<Two, T> two({rows, 1});
  fused.draw(3);
  two.draw(3);
  fused.run(x, dy);
  two.run(x, dy);
  CHECK(fused.planned({rows, 1}).activations == two.planned({rows, 1}).activations);
  CHECK(fused.y == two.y);
  CHECK(fused.dx == two.dx);
  CHECK(fused.gradient("weight") == two.gradient("0.weight"));
  CHECK(fused.evaluate(x) == fused.y);
  // The same `rows` terms, each below 2 max |dy|, in another order: a rounding a term in either sum.
  CHECK(distance(fused.gradient("bias"), two.gradient("0.bias")) <=
        2 * unit<T> * rows * rows * 2 * largest(dy));
}

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

TEST_CASE_TEMPLATE("linear: LinearGelu has the bits of Linear and Gelu", T, float, double) {
  for (int rows : {1, 6, 300}) {
    check_fused<ops::GeluErf, T>(rows);
    check_fused<ops::GeluTanh, T>(rows);
  }
}

TEST_CASE("linear: LinearGelu against finite differences; it accumulates") {
  CHECK(check_gradients<nn::LinearGelu<5, 7>>().ok());
  CHECK(check_gradients<nn::LinearGelu<5, 7, nn::NoBias, ops::GeluTanh>>().ok());
  check_accumulates<nn::LinearGelu<5, 70>>({3, 4});
  check_accumulates<nn::LinearGelu<5, 3, nn::NoBias>>({3, 100});
}

TEST_CASE_TEMPLATE("linear: 16 bits: sums in fp32, outputs rounded once, gradients not at all", T,
                   bf16, fp16) {
  constexpr int rows = 6;
  const InBoth<nn::Linear<40, 33>, T> run({rows, 1});
  const double X = run.largest_x, W = run.weight("weight"), D = run.D;
  CHECK(run.y_share(sum_error(41, X, W) + unit<float> * run.weight("bias")) <= 1);
  CHECK(run.dx_share(sum_error(33, D, W)) <= 1);
  CHECK(run.gradient_error("weight") <= sum_error(rows, D, X));
  CHECK(run.gradient_error("bias") <= sum_error(rows, D, 1));
  check_accumulates<nn::Linear<5, 70>, T>({3, 4});
  check_accumulates<nn::Linear<5, 3, nn::NoBias>, T>({3, 4});
}

TEST_CASE_TEMPLATE("linear: LinearGelu in 16 bits gives the outputs of Linear and Gelu", T, bf16,
                   fp16) {
  zoo::OneLayer<nn::LinearGelu<10, 37>, T> fused({300, 1});
  zoo::OneLayer<nn::Sequential<nn::Linear<10, 37>, nn::Gelu<37>>, T> two({300, 1});
  fused.draw(3);
  two.draw(3);
  const auto x = zoo::normals<T>(300 * 10, 1), dy = zoo::normals<T>(300 * 37, 2);
  fused.run(x, dy);
  two.run(x, dy);
  CHECK(distance(fused.y, two.y) == 0);
  CHECK(distance(as<T>(as<float>(fused.evaluate(x))), fused.y) == 0);
}

TEST_CASE_TEMPLATE("linear: LinearGelu in 16 bits rounds what it passes on: x W, slope, dy slope",
                   T, bf16, fp16) {
  constexpr int rows = 6, In = 20, Out = 37;
  const InBoth<nn::LinearGelu<In, Out>, T> run({rows, 1});
  const double X = run.largest_x, W = run.weight("weight"), D = run.D;
  // gelu has slopes below 1.13 and curvature below 0.8. z = x W + b, at most Z, is rounded before it.
  double Z = 1.2 * largest(run.wide.y) + 1;  // |z| <= |gelu(z)| for z > 0; below 0 bounded by
  Z = std::max(Z, std::sqrt(double(In)) * 5 * W * X / 2);  // 5 deviations of the sum
  const double dz = half_ulp<T>(Z) + sum_error(In + 1, X, W), gelu = 4 * unit<float> * Z;
  CHECK(run.y_share(1.13 * dz + gelu) <= 1);
  // The slope is off by the curvature and its own rounding; its product with dy is rounded again.
  const double slope = 0.8 * dz + half_ulp<T>(1.13) + 12 * unit<float> * Z;
  const double d = D * slope + half_ulp<T>(D * (1.13 + slope));
  CHECK(run.dx_share(Out * W * d + sum_error(Out, 1.2 * D, W)) <= 1);
  CHECK(run.gradient_error("weight") <= rows * X * d + sum_error(rows, 1.2 * D, X));
  CHECK(run.gradient_error("bias") <= rows * d + sum_error(rows, 1.2 * D, 1));
  check_accumulates<nn::LinearGelu<5, 70>, T>({3, 4});
}
