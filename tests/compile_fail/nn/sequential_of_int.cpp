// expect-error: cohort: Sequential was given something that is not a layer.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/sequential_of_int.cpp: a number among the layers, and a program that trains them.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::Sequential<nn::Linear<3, 4>, nn::Linear<4, 2>>;
#else
using Model = nn::Sequential<nn::Linear<3, 4>, int, nn::Linear<4, 2>>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<2>>;

static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    const StepReport report = run.step({x, {4}}, {y, {4}});
    if (report.loss > 1) run.set_parameter("bias", {});
  });
}
