// expect-error: cohort: this optimizer has no body for GPUs
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/optimizer_without_gpu_body.cpp: a loop over the shard is sent to a GPU.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Descent {
  using slot = slots::optimizer;
  struct Options {};
  static constexpr int moments = 0;
  template <class D, class T>
  static void update(const D&, const Shard<T>& s, UpdateStep now, const Options&) {
    for (std::size_t i = 0; i < s.size; ++i)
      s.params[i] -= T(now.learning_rate * now.grad_scale) * s.grads[i];
  }
};

using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Descent>;
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
