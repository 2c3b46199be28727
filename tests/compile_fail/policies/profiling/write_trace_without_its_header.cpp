// expect-error: cohort: writing a trace takes a header of its own. Add #include <cohort/trace.hpp>.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/profiling/write_trace_without_its_header.cpp: a trace, and only the trainer included.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>
#ifdef VALID
#include <cohort/trace.hpp>
#endif

using namespace cohort;
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Traced<>>;

int main() {
  launch<Threads>({.ranks = 1}, [](auto& world) {
    auto run = Run::on(world, {.batch = 1});
    run.write_trace("trace.json");
  });
}
