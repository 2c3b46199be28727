// expect-error: cohort: a policy of the list lacks what its slot reads.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/hooks/clipping_without_options.cpp: a policy for clipping with its constant only.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct KeepsAll
#ifdef VALID
    : NoClip
#endif
{
  using slot = slots::clipping;
  static constexpr bool needs_norm = false, clips_values = false;
};

using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, KeepsAll>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step({x, {4}}, {y, {4}});
  });
}
