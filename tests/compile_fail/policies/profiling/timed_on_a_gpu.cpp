// expect-error: cohort: Timed and Traced read the host's clock, which says when a GPU's work was queued
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/profiling/timed_on_a_gpu.cpp: a host's clock for what a GPU does.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Timed>;

#ifdef VALID
using Device = DefaultCpu;
#else
using Device = Cuda;
#endif

int main() {
  launch<Threads>({.ranks = 1}, [](auto& world) {
    auto run = Run::on<Device>(world, {.batch = 1});
    const float x[3] = {}, y[2] = {};
    run.step({x, {1}}, {y, {1}});
  });
}
