// expect-error: cohort: step takes rows: pointer, and how many
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/step_of_vectors.cpp: vectors do not say how many rows they hold.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>
#include <vector>

using namespace cohort;

using Run = Trainer<nn::Linear<2, 1>, nn::MeanSquaredError<1>>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.batch = 8});
    const std::vector<float> x(16), y(8);
#ifdef VALID
    run.step({x.data(), {8}}, {y.data(), {8}});
#else
    run.step(x, y);
#endif
  });
}
