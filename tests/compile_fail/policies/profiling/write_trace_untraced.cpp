// expect-error: cohort: this run keeps no spans to write. Add Traced<> to the list of Trainer
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/profiling/write_trace_untraced.cpp: a trace of a run that is timed only.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trace.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Traced<>>;
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Timed>;
#endif

int main() {
  launch<Threads>({.ranks = 1}, [](auto& world) {
    auto run = Run::on(world, {.batch = 1});
    run.write_trace("trace.json");
  });
}
