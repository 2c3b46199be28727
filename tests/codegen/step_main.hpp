// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/codegen/step_main.hpp: three steps of the including file's Run on two ranks, each with a worker.
#pragma once
#include <cohort/cohort.hpp>

namespace {
using namespace cohort;

/// A function of its own, so that the object code says where a step begins and ends.
[[gnu::noinline]] StepReport one_step(Run::execution<Threads>& run, Tokens x, Tokens y) {
  return run.step(x, y);
}
}  // namespace

int main() {
  double last = 0;
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run::on(world, {.seed = 1,
                               .batch = 4,
                               .tokens = 8,
                               .schedule = {.warmup_steps = 1, .total_steps = 3},
                               .clip = {.max_norm = 0.5},
                               .stream = StreamMode::worker});
    int ids[32];
    for (int i = 0; i < 32; ++i) ids[i] = (3 * i + world.rank()) % 11;
    for (int step = 0; step < 3; ++step) {
      const StepReport report = one_step(run, {ids, {4, 8}}, {ids, {4, 8}});
      if (world.rank() == 0) last = report.loss;
    }
  });
  return last > 0 && last < 4 ? 0 : 1;
}
