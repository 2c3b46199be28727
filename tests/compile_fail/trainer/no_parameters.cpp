// expect-error: cohort: the model has no parameters
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/no_parameters.cpp: nothing to train.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/activations.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
#include <cohort/nn/linear.hpp>
using Model = nn::Linear<3, 3>;
#else
using Model = nn::ReLU<3>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<3>>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[12] = {};
    run.step({x, {4}}, {y, {4}});
  });
}
