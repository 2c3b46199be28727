// expect-error: cohort: tf32 is a mode of a GPU's matrix products
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/mixed_precision/tf32_on_the_cpu.cpp: a mode of products that CPUs have not.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;
using Model = nn::Sequential<nn::Linear<3, 4>, nn::Linear<4, 2>>;

#ifdef VALID
using Run = Trainer<Model, nn::MeanSquaredError<2>, MixedPrecision<fp32>>;
#else
using Run = Trainer<Model, nn::MeanSquaredError<2>, MixedPrecision<tf32>>;
#endif

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
