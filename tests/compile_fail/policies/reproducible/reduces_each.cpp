// expect-error: cohort: Reproducible adds a rank's parts before they are reduced, ReduceEach after.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/reproducible/reduces_each.cpp: what is reduced before it is added up.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

using Model = nn::Sequential<nn::Linear<3, 3>, nn::Repeat<2, nn::Linear<3, 3>>, nn::Linear<3, 2>>;
#ifdef VALID
using Run =
    Trainer<Model, nn::MeanSquaredError<2>, DataParallel<FullShard>, GradAccum<2>, Reproducible<2>>;
#else
using Run = Trainer<Model, nn::MeanSquaredError<2>, DataParallel<FullShard>,
                    GradAccum<2, ReduceEach>, Reproducible<2>>;
#endif

static_assert(Run::plan.peak_bytes({.ranks = 2, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
