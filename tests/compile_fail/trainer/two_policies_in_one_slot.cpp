// expect-error: cohort: two policies fill one slot.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/two_policies_in_one_slot.cpp: two ways to lie on the ranks.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, DataParallel<Replicate>>;
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, DataParallel<Replicate>,
                    DataParallel<FullShard>>;
#endif

static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    const StepReport report = run.step({x, {4}}, {y, {4}});
    if (report.loss > 1) run.set_parameter("bias", {});
  });
}
