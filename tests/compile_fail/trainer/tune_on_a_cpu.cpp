// expect-error: cohort: tune_products() chooses among cuBLASLt's algorithms
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/tune_on_a_cpu.cpp: products that cuBLASLt does not make.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;
using Run = Trainer<nn::Linear<4, 10>, nn::CrossEntropy>;

int main() {
  launch<Threads>({.ranks = 1}, [](auto& world) {
    auto run = Run::on(world, {.batch = 1, .learning_rate = 0.1});
#ifndef VALID
    run.tune_products();
#endif
  });
}
