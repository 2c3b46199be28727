// expect-error: cohort: a layer of this model works in fp32 but not in the compute type
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/mixed_precision/layer_in_fp32_only.cpp: a layer whose signature says float.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

/// y = 2 x, written for float.
struct Doubled {
  using Input = Features<2>;
  using Output = Features<2>;
  template <class Ctx> static auto forward(Ctx& ctx, const auto&, Tensor<const float, 2> x) {
    const auto y = ctx.like(x);
    y.assign(2 * x.wide());
    return Out{y, keep(ctx)};
  }
  template <class Ctx>
  static auto backward(Ctx& ctx, const auto&, const auto&, Tensor<const float, 2> dy, const auto&) {
    const auto dx = ctx.like(dy);
    dx.assign(2 * dy.wide());
    return dx;
  }
};
using Model = nn::Sequential<nn::Linear<3, 2>, Doubled>;

#ifdef VALID
using Run = Trainer<Model, nn::MeanSquaredError<2>>;
#else
using Run = Trainer<Model, nn::MeanSquaredError<2>, MixedPrecision<bf16, fp32>>;
#endif

static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
