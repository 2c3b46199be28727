// expect-error: cohort: this layer's forward keeps a parameter view
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/keeps_parameter_view.cpp: forward keeps a parameter, and a program trains with it.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Scale {
  using Params = cohort::Params<Param<"weight", 3>>;
  using Input = Features<3>;
  using Output = Features<3>;
#ifdef VALID
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto y = ctx.like(x);
    y.map() = x.map() * p["weight"_p].map().row(0).asDiagonal();
    return Out{y, keep(ctx, "x"_p = x)};
  }
#else
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto y = ctx.like(x);
    y.map() = x.map() * p["weight"_p].map().row(0).asDiagonal();
    return Out{y, keep(ctx, "x"_p = x, "w"_p = p["weight"_p])};
  }
#endif
#ifdef VALID
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    g["weight"_p].map() += dy.map().cwiseProduct(s["x"_p].map()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.map() = dy.map() * p["weight"_p].map().row(0).asDiagonal();
    return dx;
  }
#else
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    g["weight"_p].map() += dy.map().cwiseProduct(s["x"_p].map()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.map() = dy.map() * s["w"_p].map().row(0).asDiagonal();
    return dx;
  }
#endif
};
using Run = Trainer<Scale, nn::MeanSquaredError<3>, GradAccum<2>>;

static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[12] = {};
    const StepReport report = run.step({x, {4}}, {y, {4}});
    if (report.loss > 1) run.set_parameter("bias", {});
  });
}
