// expect-error: cohort: saving and loading take a header of their own. Add #include <cohort/checkpoint.hpp>.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/save_without_its_header.cpp: a run that saves, and only the trainer included.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>
#ifdef VALID
#include <cohort/checkpoint.hpp>
#endif

using namespace cohort;
using Run = Trainer<nn::Linear<4, 10>, nn::CrossEntropy>;

int main() {
  launch<Threads>({.ranks = 1}, [](auto& world) {
    auto run = Run::on(world, {.batch = 1, .learning_rate = 0.1});
    run.save("checkpoints", {.keep = 2});
  });
}
