// expect-error: cohort: Traced<max_spans> keeps at least one span of each stream.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/profiling/traced_zero.cpp: a trace without room for a span.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trace.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Traced<1>>;
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Traced<0>>;
#endif

int main() {
  launch<Threads>({.ranks = 1}, [](auto& world) {
    auto run = Run::on(world, {.batch = 1});
    const float x[3] = {}, y[2] = {};
    run.step({x, {1}}, {y, {1}});
  });
}
