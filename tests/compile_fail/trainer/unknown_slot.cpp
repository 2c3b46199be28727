// expect-error: cohort: an argument after the loss is not a policy.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/unknown_slot.cpp: a policy for a slot that nobody reads.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Warm {};
#ifdef VALID
using Slot = slots::accumulation;
#else
using Slot = Warm;
#endif
struct Once : GradAccum<1> {
  using slot = Slot;
};

using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Once>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step({x, {4}}, {y, {4}});
  });
}
