// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/two_units/step.hpp: one step on two ranks: both units instantiate the same trainer.
#pragma once
#include <cohort/cohort.hpp>

inline double loss_of_one_step() {
  using namespace cohort;
  using Run = Trainer<nn::Sequential<nn::Linear<3, 4>, nn::ReLU<4>, nn::Linear<4, 2>>,
                      nn::CrossEntropy, DataParallel<Replicate>, ClipGradNorm>;
  double loss = 0;
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 2});
    const float x[6] = {1, 2, 3, -1, 0, 1};
    const int y[2] = {0, 1};
    const StepReport report = run.step({x, {2}}, {y, {2}});
    if (world.rank() == 0) loss = report.loss;
  });
  return loss;
}
