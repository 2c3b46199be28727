// expect-error: cohort: every parameter of the model is frozen
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/all_frozen.cpp: nothing is left to train.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/frozen.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::Sequential<nn::Frozen<nn::Linear<3, 3>>, nn::Linear<3, 3>>;
#else
using Model = nn::Sequential<nn::Frozen<nn::Linear<3, 3>>, nn::Frozen<nn::Linear<3, 3>>>;
#endif
using Run = Trainer<Model, nn::MeanSquaredError<3>, DataParallel<FullShard>, Groups<One>>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[12] = {};
    run.step({x, {4}}, {y, {4}});
  });
}
