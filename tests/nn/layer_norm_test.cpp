// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/layer_norm_test.cpp: LayerNorm against PyTorch and finite differences.
#include <doctest/doctest.h>
#include <cohort/nn/layer_norm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
constexpr int C = 24, rows = 5;
static_assert(Layer<nn::LayerNorm<C>> && Layer<nn::LayerNorm<C, nn::NoBias>>);
static_assert(num_params<nn::LayerNorm<C>>() == 2 &&
              num_params<nn::LayerNorm<C, nn::NoBias>>() == 1);
static_assert(std::is_same_v<params_of<nn::LayerNorm<C>>::at<0>::initialiser, init::Ones>);
static_assert(!params_of<nn::LayerNorm<C>>::at<0>::decays);

/// The largest 1 / deviation of the rows of x.
double largest_rstd(const std::vector<double>& x) {
  double most = 0;
  for (int r = 0; r < rows; ++r) {
    double mean = 0, square = 0;
    for (int c = 0; c < C; ++c) mean += x[static_cast<std::size_t>(r * C + c)] / C;
    for (int c = 0; c < C; ++c) {
      const double d = x[static_cast<std::size_t>(r * C + c)] - mean;
      square += d * d / C;
    }
    most = std::max(most, 1 / std::sqrt(square + 1e-5));
  }
  return most;
}

template <class L, class T> void compare(const std::string& name) {
  CAPTURE(name);
  zoo::OneLayer<L, T> one({rows, 1});
  for (const auto& p : parameter_names<L>()) one.set(p, pytorch().values(name + ".in." + p));
  const auto x = given<T>(name + ".in.x"), dy = given<T>(name + ".in.dy");
  one.run(x, dy);
  // Sums over C have C units of error. The mean's, at most C units of max |x|, is amplified by
  // 1 / deviation; the normalised value is at most H = sqrt(C) and enters backward squared.
  const double R = largest_rstd(pytorch().values(name + ".in.x")), H = std::sqrt(double(C));
  const double W = largest(one.parameter("weight")), D = largest(dy);
  const double relative = unit<T> * (C + 8) * (1 + largest(x) * R);
  CHECK(distance(one.y, name + ".f64.y") <= relative * (W * (1 + H) + 1));
  CHECK(distance(one.dx, name + ".f64.dx") <= relative * R * W * D * (1 + H) * (1 + H));
  CHECK(distance(one.gradient("weight"), name + ".f64.dweight") <= relative * rows * D * (1 + H));
  if constexpr (L::has_bias)
    CHECK(distance(one.gradient("bias"), name + ".f64.dbias") <= unit<T> * rows * rows * D);
}
}  // namespace

TEST_CASE_TEMPLATE("layer_norm: PyTorch's values, also far from zero", T, float, double) {
  compare<nn::LayerNorm<C>, T>("layer_norm");
  compare<nn::LayerNorm<C, nn::NoBias>, T>("layer_norm_no_bias");
  compare<nn::LayerNorm<C>, T>("layer_norm_offset");
}

TEST_CASE("layer_norm: finite differences") {
  CHECK(check_gradients<nn::LayerNorm<9>>().ok());
  CHECK(check_gradients<nn::LayerNorm<9, nn::NoBias>>().ok());
  CHECK(check_gradients<nn::LayerNorm<2>>({.rows = {4, 1}}).ok());
  CHECK(check_gradients<nn::LayerNorm<67>>().ok());
}

TEST_CASE("layer_norm: the first contribution overwrites, the next adds") {
  check_accumulates<nn::LayerNorm<9>>({3, 4});
  check_accumulates<nn::LayerNorm<70, nn::NoBias>>({3, 4});
}

TEST_CASE("layer_norm: a constant row becomes the bias") {
  zoo::OneLayer<nn::LayerNorm<4>> one({1, 1});
  one.draw(2);
  one.run({3, 3, 3, 3}, {1, 2, 3, 4});
  CHECK(one.y == one.parameter("bias"));
}

TEST_CASE("layer_norm: an epsilon of the user's") {
  zoo::OneLayer<nn::LayerNorm<2, nn::NoBias, std::ratio<3, 4>>> one({1, 1});
  one.set("weight", std::vector{1.0, 2.0});
  one.run({2.5f, 1.5f}, {0, 0});
  CHECK(distance(one.y, std::vector{0.5, -1.0}) <= 4 * unit<float>);  // by sqrt(1 / 4 + 3 / 4)
}

TEST_CASE_TEMPLATE("layer_norm: 16 bits: statistics in fp32, results rounded once, gradients not",
                   T, bf16, fp16) {
  constexpr int wide = 70;
  const InBoth<nn::LayerNorm<wide>, T> run({rows, 1});
  // As in compare(): normal inputs, so R = 1 / deviation is below 1.5 over 70 of them.
  const double R = 1.5, H = std::sqrt(double(wide)), W = run.weight("weight"), D = run.D;
  const double relative = unit<float> * (wide + 8) * (1 + run.largest_x * R);
  CHECK(run.y_share(relative * (W * (1 + H) + 1)) <= 1);
  CHECK(run.dx_share(relative * R * W * D * (1 + H) * (1 + H)) <= 1);
  CHECK(run.gradient_error("weight") <= relative * rows * D * (1 + H));
  CHECK(run.gradient_error("bias") <= unit<float> * rows * rows * D);
  check_accumulates<nn::LayerNorm<9>, T>({3, 4});
  check_accumulates<nn::LayerNorm<70, nn::NoBias>, T>({3, 4});
}
