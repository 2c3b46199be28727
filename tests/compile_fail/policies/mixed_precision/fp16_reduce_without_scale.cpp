// expect-error: cohort: fp16 gradients underflow without a loss scale. Add DynamicLossScale<>
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/mixed_precision/fp16_reduce_without_scale.cpp: fp16 on the wire only, without a loss scale.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;
using Model = nn::Sequential<nn::Linear<3, 4>, nn::Linear<4, 2>>;

#ifdef VALID
using Run = Trainer<Model, nn::MeanSquaredError<2>, MixedPrecision<fp32, fp32, bf16>>;
#else
using Run = Trainer<Model, nn::MeanSquaredError<2>, MixedPrecision<fp32, fp32, fp16>>;
#endif

static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
