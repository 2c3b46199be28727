// expect-error: cohort: this layer has no body for GPUs: its forward or backward takes Tensor<const T, C>
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/layer_without_gpu_body.cpp: a layer of Eigen expressions is sent to a GPU.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Twice {
  using Input = Features<2>;
  using Output = Features<2>;
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, 2> x) {
    const auto y = ctx.like(x);
    y.map() = 2 * x.map();
    return Out{y, keep(ctx)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto&, Tensor<const T, 2> dy, const auto&) {
    const auto dx = ctx.like(dy);
    dx.map() = 2 * dy.map();
    return dx;
  }
};
static_assert(Layer<Twice>);

using Run = Trainer<nn::Sequential<nn::Linear<3, 2>, Twice>, nn::MeanSquaredError<2>>;
#ifdef VALID
using Device = DefaultCpu;
#else
using Device = Cuda;
#endif

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on<Device>(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
