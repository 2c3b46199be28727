// expect-error: cohort: Buckets<First, Cap> needs sizes above zero.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/buckets/zero.cpp: buckets of no bytes.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Buckets<1>>;
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Buckets<0>>;
#endif

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step({x, {4}}, {y, {4}});
  });
}
