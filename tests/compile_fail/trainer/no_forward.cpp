// expect-error: cohort: this layer has no usable forward.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/no_forward.cpp: a model without forward, and a program that trains it.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Model {
  using Params = cohort::Params<Param<"weight", 2, 3>>;
  using Input = Features<3>;
  using Output = Features<2>;
#ifdef VALID
  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, 3> x) {
    const auto y = ctx.template make<2>(x.rows);
    y.map() = x.map() * p["weight"_p].map().transpose();
    return Out{y, keep(ctx, "x"_p = x)};
  }
#endif
  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& s, Tensor<const T, 2> dy,
                       const auto& g) {
    g["weight"_p].map() += dy.map().transpose() * s["x"_p].map();
    const auto dx = ctx.template make<3>(dy.rows);
    dx.map() = dy.map() * p["weight"_p].map();
    return dx;
  }
};
using Run = Trainer<Model, nn::MeanSquaredError<2>, GradAccum<2>>;

static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    const StepReport report = run.step({x, {4}}, {y, {4}});
    if (report.loss > 1) run.set_parameter("bias", {});
  });
}
