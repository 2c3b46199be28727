// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/losses_test.cpp: losses against PyTorch: sums, weights, gradients of sums.
#include <doctest/doctest.h>
#include <cohort/concepts/loss.hpp>
#include <cohort/nn/losses.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C> struct ModelOf { using Output = Features<C>; };
static_assert(LossFor<nn::CrossEntropy, ModelOf<13>>);
static_assert(LossFor<nn::MeanSquaredError<5>, ModelOf<5>> &&
              !LossFor<nn::MeanSquaredError<5>, ModelOf<6>>);

/// Runs a loss over [rows, C] in an arena of exactly the announced bytes.
template <class Loss, int C, class T> struct Run {
  Rows rows;
  DefaultCpu device{};
  Arena results{"activation", Loss::template gradient_bytes<ModelOf<C>, T>(rows)};
  Arena scratch{"scratch", 0};
  Context<DefaultCpu, T, Phase::train> train{device, results, scratch};
  Context<DefaultCpu, T, Phase::evaluate> evaluate{device, results, scratch};
};

template <class T> void compare_cross_entropy(const std::string& name) {
  CAPTURE(name);
  constexpr int V = 13;
  Run<nn::CrossEntropy, V, T> run{{10, 1}};
  const auto x = given<T>(name + ".in.x");
  const auto labels = given<int>(name + ".in.labels");
  const Tensor<const T, V> y{x.data(), run.rows};
  const Tokens target{labels.data(), run.rows};
  const auto loss = nn::CrossEntropy::forward(run.train, y, target);
  const double weight = pytorch().number(name + ".weight"), X = largest(x);
  // Exponents carry the rounding of x - max, at most 2 X units; sums of V terms V more.
  const double row = unit<T> * (4 * X + V + 8);
  CHECK(loss.total.weight == weight);
  CHECK(std::abs(loss.total.sum - pytorch().values(name + ".f64.loss")[0]) <=
        weight * row * (1 + 2 * X));
  CHECK(distance(std::vector<T>(loss.dy.data, loss.dy.data + loss.dy.size()), name + ".f64.dx") <=
        row);
  const auto evaluated = nn::CrossEntropy::evaluate(run.evaluate, y, target);
  CHECK(evaluated.sum == loss.total.sum);
  CHECK(evaluated.weight == loss.total.weight);
}
}  // namespace

TEST_CASE_TEMPLATE("cross_entropy: PyTorch's sums, ignored labels and large logits included", T,
                   float, double) {
  compare_cross_entropy<T>("cross_entropy");
  compare_cross_entropy<T>("cross_entropy_large");
}

TEST_CASE("cross_entropy: ignored rows weigh nothing and have no gradient") {
  Run<nn::CrossEntropy, 3, float> run{{2, 1}};
  const float x[6] = {1, 2, 3, 4, 5, 6};
  const int labels[2] = {-100, -100};
  const auto loss = nn::CrossEntropy::forward(run.train, Tensor<const float, 3>{x, run.rows},
                                              Tokens{labels, run.rows});
  CHECK(loss.total.sum == 0);
  CHECK(loss.total.weight == 0);
  for (int i = 0; i < 6; ++i) CHECK(loss.dy.data[i] == 0);
}

TEST_CASE("cross_entropy: a label outside the classes is refused by row") {
  Run<nn::CrossEntropy, 3, float> run{{2, 1}};
  const float x[6] = {};
  const int labels[2] = {0, 3};
  CHECK_THROWS_WITH_AS(nn::CrossEntropy::evaluate(run.evaluate, Tensor<const float, 3>{x, run.rows},
                                                  Tokens{labels, run.rows}),
                       doctest::Contains("target 3 at row 1 is outside the 3 classes"),
                       InvalidInput);
}

TEST_CASE_TEMPLATE("mean_squared_error: PyTorch's sum, weighted by elements", T, float, double) {
  Run<nn::MeanSquaredError<5>, 5, T> run{{6, 1}};
  const auto x = given<T>("mse.in.x"), t = given<T>("mse.in.target");
  using Loss = nn::MeanSquaredError<5>;
  const Tensor<const T, 5> y{x.data(), run.rows}, target{t.data(), run.rows};
  const auto loss = Loss::forward(run.train, y, target);
  const double size = largest(x) + largest(t);
  CHECK(loss.total.weight == 30);
  // Each of 30 squares: 3 roundings; the sum: 30 more.
  CHECK(std::abs(loss.total.sum - pytorch().values("mse.f64.loss")[0]) <=
        unit<T> * 33 * 30 * size * size);
  CHECK(distance(std::vector<T>(loss.dy.data, loss.dy.data + 30), "mse.f64.dx") <=
        unit<T> * 2 * size);
  CHECK(Loss::evaluate(run.evaluate, y, target).sum == loss.total.sum);
}

TEST_CASE("losses: the announced bytes are those of one gradient") {
  CHECK(nn::CrossEntropy::gradient_bytes<ModelOf<13>, float>({3, 5}) ==
        Tensor<float, 13>::bytes({3, 5}));
  CHECK(nn::MeanSquaredError<5>::gradient_bytes<ModelOf<5>, double>({3, 5}) ==
        Tensor<double, 5>::bytes({3, 5}));
}
