// expect-error: cohort: ranks compare options by value
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/hooks/options_of_thirteen_members.cpp: a schedule whose options have too many members.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Halving {
  using slot = slots::schedule;
  struct Options {
    int a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12;
#ifndef VALID
    int m = 13;
#endif
  };
  static double at(std::int64_t, double rate, const Options&) { return rate / 2; }
};

using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Halving>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step({x, {4}}, {y, {4}});
  });
}
