// expect-error: cohort: Nvtx takes a header of its own. Add #include <cohort/nvtx.hpp>.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/profiling/nvtx_without_its_header.cpp: ranges for a tool, and only the trainer included.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run =
    Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, NoProfile>;  // NVTX may not be installed
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Nvtx>;
#endif

int main() {
  launch<Threads>({.ranks = 1}, [](auto& world) {
    auto run = Run::on(world, {.batch = 1});
    const float x[3] = {}, y[2] = {};
    run.step({x, {1}}, {y, {1}});
  });
}
