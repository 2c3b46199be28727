// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/batch_norm_test.cpp: BatchNorm against PyTorch and finite differences; its running statistics in runs.
#include <cohort/nn/batch_norm.hpp>

#include <doctest/doctest.h>

#include <cohort/nn/frozen.hpp>

#include "../run/support.hpp"
#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
constexpr int C = 10, rows = 6;
using Norm = nn::BatchNorm<C>;
static_assert(Layer<Norm> && Layer<nn::Frozen<Norm>>);
static_assert(Layer<Norm, DefaultCpu, bf16> && Layer<nn::Frozen<Norm>, DefaultCpu, bf16>);
static_assert(subtree<Norm>() == FlatCount{128, 0, 4, 128});
static_assert(subtree<nn::Frozen<Norm>>() == FlatCount{0, 256, 4, 0});
static_assert(params_of<Norm>::at<3>::rate == 0.1);

/// The bound of a value that BatchNorm computes of normal numbers around 1.5: sums over n rows are off by n
/// units, amplified by 1 / deviation (below 4 in these columns) as often as they go through it.
template <class T> constexpr double bound = 64 * unit<T>*(rows + 8);

template <class T> zoo::OneLayer<Norm, T> pytorchs() {
  zoo::OneLayer<Norm, T> one({rows, 1});
  one.set("weight", pytorch().values("batch_norm.in.weight"));
  one.set("bias", pytorch().values("batch_norm.in.bias"));
  return one;
}
/// Rows of step `i` of PyTorch's three.
template <class T> std::vector<T> rows_of(int i) {
  const auto all = given<T>("batch_norm.in.x");
  const auto begin = all.begin() + i * rows * C;
  return {begin, begin + rows * C};
}
}  // namespace

TEST_CASE_TEMPLATE("batch_norm: PyTorch's values, gradients and evaluation", T, float, double) {
  auto one = pytorchs<T>();
  one.begin_step();
  one.run(rows_of<T>(0), given<T>("batch_norm.in.dy"));
  CHECK(distance(one.y, "batch_norm.f64.y") <= bound<T>);
  CHECK(distance(one.dx, "batch_norm.f64.dx") <= bound<T>);
  CHECK(distance(one.gradient("weight"), "batch_norm.f64.dweight") <= rows * bound<T>);
  CHECK(distance(one.gradient("bias"), "batch_norm.f64.dbias") <= rows * bound<T>);
  one.set("running_mean", pytorch().values("batch_norm.f64.running_mean"));
  one.set("running_var", pytorch().values("batch_norm.f64.running_var"));
  CHECK(distance(one.evaluate(rows_of<T>(0)), "batch_norm.f64.evaluated") <= bound<T>);
}

TEST_CASE("batch_norm: running statistics are PyTorch's after three steps of a run") {
  using Model = nn::Sequential<nn::Linear<C, C>, Norm>;
  using Run = Trainer<Model, nn::MeanSquaredError<C>>;
  for (const int ranks : {1, 2, 3}) {
    CAPTURE(ranks);
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      // An identity that stays one: every rank has PyTorch's rows, whose average is that of one.
      auto run = Run::on(world, {.batch = rows, .learning_rate = 0});
      std::vector<float> identity(C * C);
      for (int c = 0; c < C; ++c) identity[static_cast<std::size_t>(c * C + c)] = 1;
      run.set_parameter("0.weight", identity);
      run.set_parameter("0.bias", std::vector<float>(C));
      for (int step = 0; step < 3; ++step) {
        const auto x = rows_of<float>(step);
        run.step({x.data(), {rows, 1}}, {x.data(), {rows, 1}});
      }
      for (const NamedTensor& t : run.gather_parameters()) {
        if (t.name == "1.running_mean")
          CHECK(distance(t.values, "batch_norm.f64.running_mean") <= 8 * unit<float> * 8);
        if (t.name == "1.running_var")
          CHECK(distance(t.values, "batch_norm.f64.running_var") <= 16 * unit<float> * 8);
      }
    });
  }
}

TEST_CASE("batch_norm: finite differences") {
  CHECK(check_gradients<nn::BatchNorm<9>>().ok());
  CHECK(check_gradients<nn::BatchNorm<3>>({.rows = {4, 1}, .seed = 2}).ok());
  CHECK(check_gradients<nn::BatchNorm<67>>().ok());
  CHECK(check_gradients<nn::Frozen<nn::BatchNorm<9>>>().ok());
  using Chain = nn::Sequential<nn::Linear<4, 6>, nn::BatchNorm<6>, nn::Gelu<6>, nn::Linear<6, 3>>;
  CHECK(check_gradients<Chain>().ok());
}

TEST_CASE("batch_norm: the first contribution overwrites, the next adds, averages always add") {
  check_accumulates<nn::BatchNorm<9>>({3, 4});
  check_accumulates<nn::BatchNorm<70>, bf16>({3, 4});
}

TEST_CASE_TEMPLATE("batch_norm: 16 bits: statistics in fp32, results rounded once, gradients not",
                   T, bf16, fp16) {
  constexpr int wide = 70, samples = 40;
  const InBoth<nn::BatchNorm<wide>, T> run({samples, 1});
  // Normal inputs: 1 / deviation is below 1.5 over 40 of them.
  const double R = 1.5, H = std::sqrt(double(samples)), W = run.weight("weight"), D = run.D;
  const double relative = unit<float> * (samples + 8) * (1 + run.largest_x * R);
  CHECK(run.y_share(relative * (W * (1 + H) + 1)) <= 1);
  CHECK(run.dx_share(relative * R * W * D * (1 + H) * (1 + H)) <= 1);
  CHECK(run.gradient_error("weight") <= relative * samples * D * (1 + H));
  CHECK(run.gradient_error("bias") <= unit<float> * samples * samples * D);
  CHECK(run.gradient_error("running_mean") <= relative * samples * run.largest_x);
  CHECK(run.gradient_error("running_var") <= relative * samples * run.largest_x * run.largest_x);
}

TEST_CASE("batch_norm: frozen, training normalises by the running statistics and gives dx") {
  zoo::OneLayer<nn::Frozen<nn::BatchNorm<2>>> one({2, 1});
  one.set("weight", std::vector<float>{2, 3});
  one.set("bias", std::vector<float>{1, -1});
  one.set("running_mean", std::vector<float>{10, 20});
  one.set("running_var", std::vector<float>{4, 0.25f});
  const std::vector<float> x{12, 20, 8, 21};
  one.run(x, {1, 1, -1, 2});
  // Where epsilon is 1e-5 of 4 and of 1/4: their square roots, and one more rounding each.
  CHECK(distance(one.y, std::vector<float>{3, -1, -1, 5}) <= 6 * 2.1e-5);
  CHECK(distance(one.dx, std::vector<float>{1, 6, -1, 12}) <= 12 * 2.1e-5);
  CHECK(one.evaluate(x) == one.y);
}

TEST_CASE("batch_norm: one row has no variance: every rank hears of it") {
  using Run = Trainer<nn::Sequential<nn::Linear<3, 3>, nn::BatchNorm<3>>, nn::MeanSquaredError<3>>;
  const auto train = [](int batch) {
    launch<Threads>({.ranks = 2}, [batch](Threads& world) {
      auto run = Run::on(world, {.batch = batch});
      const std::vector<float> x(static_cast<std::size_t>(3 * batch), 1.0f);
      run.step({x.data(), {batch}}, {x.data(), {batch}});
    });
  };
  CHECK_NOTHROW(train(2));
  CHECK_THROWS_WITH_AS(train(1), doctest::Contains("at least two rows in every micro-batch"),
                       InvalidInput);
}
