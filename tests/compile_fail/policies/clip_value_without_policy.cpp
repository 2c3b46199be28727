// expect-error: cohort: this option belongs to a policy that is not in the list of Trainer.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/clip_value_without_policy.cpp: a limit for elements, and nobody who clips.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, ClipGradValue>;
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2> >;
#endif

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.batch = 4, .clip = {.max_value = 1}});
    const float x[12] = {}, y[8] = {};
    run.step({x, {4}}, {y, {4}});
  });
}
