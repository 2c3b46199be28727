// expect-error: cohort: this run keeps no times. Add Timed or Traced<> to the list of Trainer.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/profiling/times_untimed.cpp: times of a run that has no clock.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Timed>;
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2> >;
#endif

int main() {
  launch<Threads>({.ranks = 1}, [](auto& world) {
    auto run = Run::on(world, {.batch = 1});
    const double share = run.times().communication_share();
    if (share > 0.5) run.forget_times();
  });
}
