// expect-error: cohort: the loss has no body for this device
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/loss_without_gpu_body.cpp: a loss of Eigen expressions is sent to a GPU.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct SquaredNorm {
  using Target = Features<2>;
  template <class T>
  static auto forward(auto& ctx, Tensor<const T, 2> y, Tensor<const float, 2> target) {
    const auto dy = ctx.like(y);
    dy.map() = 2 * y.map();
    return nn::LossGradient<T, 2>{dy, evaluate(ctx, y, target)};
  }
  template <class T>
  static ops::LossSum evaluate(auto&, Tensor<const T, 2> y, Tensor<const float, 2>) {
    return {double(y.map().squaredNorm()), double(y.rows.count())};
  }
  template <class Model, class T> static constexpr std::size_t gradient_bytes(Rows rows) {
    return Model::Output::template bytes<T>(rows);
  }
};

using Run = Trainer<nn::Linear<3, 2>, SquaredNorm>;
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
