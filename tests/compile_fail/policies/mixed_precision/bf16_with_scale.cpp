// expect-error: cohort: DynamicLossScale is for fp16: bf16 and fp32 have the range
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/mixed_precision/bf16_with_scale.cpp: a loss scale that bf16 does not need.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;
using Model = nn::Sequential<nn::Linear<3, 4>, nn::Linear<4, 2>>;

#ifdef VALID
using Run = Trainer<Model, nn::MeanSquaredError<2>, MixedPrecision<bf16, fp32>>;
#else
using Run = Trainer<Model, nn::MeanSquaredError<2>, MixedPrecision<bf16, fp32>, DynamicLossScale<>>;
#endif

static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
