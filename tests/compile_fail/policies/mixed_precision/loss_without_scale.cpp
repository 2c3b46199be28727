// expect-error: cohort: with DynamicLossScale the loss must take its scale
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/mixed_precision/loss_without_scale.cpp: a loss whose gradient cannot be scaled.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

/// Mean squared error as a user may have written it before there was a scale.
struct PlainLoss {
  using Target = Features<2>;
  template <class Ctx, class T>
  static auto forward(Ctx& ctx, Tensor<const T, 2> y, Tensor<const float, 2> target) {
    return nn::MeanSquaredError<2>::forward(ctx, y, target);
  }
  template <class Ctx, class T>
  static LossSum evaluate(Ctx& ctx, Tensor<const T, 2> y, Tensor<const float, 2> target) {
    return nn::MeanSquaredError<2>::evaluate(ctx, y, target);
  }
  template <class Model, class T> static constexpr std::size_t gradient_bytes(Rows rows) {
    return nn::MeanSquaredError<2>::gradient_bytes<Model, T>(rows);
  }
};
using Model = nn::Sequential<nn::Linear<3, 4>, nn::Linear<4, 2>>;

#ifdef VALID
using Run = Trainer<Model, PlainLoss, MixedPrecision<bf16, fp32>>;
#else
using Run = Trainer<Model, PlainLoss, MixedPrecision<fp16, fp32>, DynamicLossScale<>>;
#endif

static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
