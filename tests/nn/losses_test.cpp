// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/losses_test.cpp: losses against PyTorch: sums, weights, gradients of sums.
#include <doctest/doctest.h>

#include <cohort/concepts/loss.hpp>
#include <cohort/nn/losses.hpp>
#include <cstring>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C> struct ModelOf { using Output = Features<C>; };
static_assert(LossFor<nn::CrossEntropy, ModelOf<13>>);
static_assert(LossFor<nn::CrossEntropyOver<11>, ModelOf<13>> &&
              LossFor<nn::CrossEntropyOver<13>, ModelOf<13>>);
static_assert(nn::ClassesAmongLogits<1, 1> && !nn::ClassesAmongLogits<0, 1> &&
              !nn::ClassesAmongLogits<14, 13>);
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

TEST_CASE_TEMPLATE("cross_entropy_over: PyTorch's sums and gradient, whatever the padding holds", T,
                   float, double) {
  constexpr int K = 13, V = 17;
  using Loss = nn::CrossEntropyOver<K>;
  Run<Loss, V, T> run{{10, 1}};
  Run<nn::CrossEntropy, K, T> narrow{{10, 1}};
  const auto x = given<T>("cross_entropy.in.x");
  const auto labels = given<int>("cross_entropy.in.labels");
  std::vector<T> wide(10 * V, T(NAN));
  for (int r = 0; r < 10; ++r) std::copy_n(&x[r * K], K, &wide[r * V]);
  const Tensor<const T, V> y{wide.data(), run.rows};
  const Tokens target{labels.data(), run.rows};
  const auto loss = Loss::forward(run.train, y, target);
  const auto same = nn::CrossEntropy::forward(narrow.train, Tensor<const T, K>{x.data(), run.rows},
                                              target);  // compared with PyTorch above
  CHECK(loss.total.sum == same.total.sum);
  CHECK(loss.total.weight == pytorch().number("cross_entropy.weight"));
  for (int r = 0; r < 10; ++r)
    for (int c = 0; c < V; ++c)
      CHECK(loss.dy.data[r * V + c] == (c < K ? same.dy.data[r * K + c] : 0));
  CHECK(Loss::evaluate(run.evaluate, y, target).sum == loss.total.sum);
  CHECK(Loss::gradient_bytes<ModelOf<V>, T>({3, 5}) == Tensor<T, V>::bytes({3, 5}));
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

/// The loss's gradient over its output has the bits of the one beside it, and no memory.
template <class Loss, int C, class T, class Target>
void check_over_output(std::vector<T> x, Target target) {
  static_assert(OverwritesOutput<Loss, ModelOf<C>, DefaultCpu, T>);
  Run<Loss, C, T> beside{target.rows};
  const auto expected =
      Loss::forward(beside.train, Tensor<const T, C>{x.data(), target.rows}, target, 0.5f);
  const std::vector<T> dy(expected.dy.data, expected.dy.data + expected.dy.size());
  const std::size_t used = beside.results.used();
  const auto over = Loss::forward(beside.train, Tensor<T, C>{x.data(), target.rows}, target, 0.5f);
  CHECK(over.dy.data == x.data());
  CHECK(beside.results.used() == used);
  CHECK(std::memcmp(x.data(), dy.data(), dy.size() * sizeof(T)) == 0);
  CHECK(over.total.sum == expected.total.sum);
}
TEST_CASE_TEMPLATE("losses: the gradient over the output is the one beside it", T, float, double,
                   bf16) {
  std::vector<T> x(10 * 13);
  std::vector<accumulator_t<T>> t(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = T(float((i * 37) % 29) / 8 - 1.5f);
    t[i] = accumulator_t<T>(int(i % 5) - 2);
  }
  std::vector<int> labels{0, 12, 5, -100, 7, 3, 3, 11, 1, 9}, few{0, 10, 5, -100, 7, 3, 3, 9, 1, 2};
  const Rows rows{10, 1};
  check_over_output<nn::CrossEntropy, 13>(x, Tokens{labels.data(), rows});
  check_over_output<nn::CrossEntropyOver<11>, 13>(x, Tokens{few.data(), rows});
  check_over_output<nn::MeanSquaredError<13>, 13>(
      x, Tensor<const accumulator_t<T>, 13>{t.data(), rows});
}

TEST_CASE_TEMPLATE("losses: 16-bit outputs: totals in fp64, a scaled gradient rounded once", T,
                   bf16, fp16) {
  static_assert(ScalableLoss<nn::CrossEntropy, ModelOf<13>, DefaultCpu, T> &&
                ScalableLoss<nn::CrossEntropyOver<11>, ModelOf<13>, DefaultCpu, T> &&
                ScalableLoss<nn::MeanSquaredError<5>, ModelOf<5>, DefaultCpu, T>);
  const auto x = zoo::normals<T>(10 * 13, 1);
  const std::vector<int> labels = {0, 12, 5, -100, 7, 7, 1, 2, 3, 4};
  Run<nn::CrossEntropy, 13, T> narrow{{10, 1}};
  Run<nn::CrossEntropy, 13, double> wide{{10, 1}};
  const auto x64 = as<double>(x);
  const Tokens ids{labels.data(), narrow.rows};
  const auto loss =
      nn::CrossEntropy::forward(narrow.train, Tensor<const T, 13>{x.data(), {10, 1}}, ids, 1024.0f);
  const auto exact = nn::CrossEntropy::forward(
      wide.train, Tensor<const double, 13>{x64.data(), {10, 1}}, ids, 1024.0f);
  const double row = unit<float> * (4 * largest(x) + 13 + 8 + 3);  // compare_cross_entropy's
  CHECK(std::abs(loss.total.sum - exact.total.sum) <= 9 * row * (1 + 2 * largest(x)));
  CHECK(loss.total.weight == 9);
  const std::vector<T> dy(loss.dy.data, loss.dy.data + 130);
  CHECK(once_rounded(dy, {exact.dy.data, exact.dy.data + 130}, 1024 * row) <= 1);

  using Mean = nn::MeanSquaredError<5>;
  Run<Mean, 5, T> run{{6, 1}};
  const auto t = zoo::normals(30, 2);  // fp32: targets are not rounded to T
  const auto mean = Mean::forward(run.train, Tensor<const T, 5>{x.data(), {6, 1}},
                                  Tensor<const float, 5>{t.data(), {6, 1}}, 8.0f);
  double sum = 0;
  for (std::size_t i = 0; i < 30; ++i) {
    const double difference = value(x[i]) - double(t[i]);
    sum += difference * difference;
    CHECK(std::abs(value(mean.dy.data[i]) - 16 * difference) <=
          half_ulp<T>(16 * difference) + unit<float> * 16 * std::abs(difference));
  }
  CHECK(mean.total.sum == doctest::Approx(sum).epsilon(40 * 1.2e-16));
}
