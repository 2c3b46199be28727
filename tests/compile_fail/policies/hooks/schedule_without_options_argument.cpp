// expect-error: cohort: the schedule lacks a hook.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/hooks/schedule_without_options_argument.cpp: a schedule whose function does not take its options.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Halving {
  using slot = slots::schedule;
  struct Options {
    double steps = 100;
  };
#ifdef VALID
  static double at(std::int64_t step, double rate, const Options& o) {
    return step > o.steps ? rate / 2 : rate;
  }
#else
  static double at(std::int64_t step, double rate) { return step > 100 ? rate / 2 : rate; }
#endif
};

using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Halving>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step({x, {4}}, {y, {4}});
  });
}
