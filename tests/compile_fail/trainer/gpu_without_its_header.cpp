// expect-error: cohort: a run on a GPU takes a header of its own. Add #include <cohort/cuda.hpp>
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/trainer/gpu_without_its_header.cpp: <cohort/cuda.hpp> is missing.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>>;
#ifdef VALID
using Device = DefaultCpu;
#else
using Device = Cuda;
#endif

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on<Device>(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
