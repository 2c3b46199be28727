// expect-error: cohort: ranks compare options by value
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/hooks/options_with_a_pointer.cpp: a schedule whose options hold a pointer.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Halving {
  using slot = slots::schedule;
  struct Options {
#ifdef VALID
    double steps = 100;
#else
    const double* steps = nullptr;
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
