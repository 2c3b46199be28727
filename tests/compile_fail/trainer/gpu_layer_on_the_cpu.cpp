// expect-error: cohort: this layer has a body for GPUs only
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/gpu_layer_on_the_cpu.cpp: ranks without a GPU run a layer that needs one.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

namespace cohort {
struct Cuda {};  // stands in for <cohort/cuda.hpp>, which takes nvcc
}  // namespace cohort
using namespace cohort;

struct Same {
  using Input = Features<2>;
  using Output = Features<2>;
#ifdef VALID
  using Where = OnHost;
#else
  using Where = OnGpu;
#endif
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, 2, Where> x) {
    return Out{x, keep(ctx)};
  }
  template <class T>
  static auto backward(auto&, const auto&, const auto&, Tensor<const T, 2, Where> dy, const auto&) {
    return dy;
  }
};

using Run = Trainer<nn::Sequential<nn::Linear<3, 2>, Same>, nn::MeanSquaredError<2>>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
