// expect-error: cohort: HybridShard<S> has Reproducible's order for S a power of two only.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/reproducible/hybrid_of_three.cpp: three ranks are no branch of the tree.
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
using Run = Trainer<Model, nn::MeanSquaredError<2>, DataParallel<HybridShard<2>>, Reproducible<6>>;
#else
using Run = Trainer<Model, nn::MeanSquaredError<2>, DataParallel<HybridShard<3>>, Reproducible<6>>;
#endif

static_assert(Run::plan.peak_bytes({.ranks = 6, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
