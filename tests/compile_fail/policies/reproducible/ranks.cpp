// expect-error: throw_ranks_cannot_share_parts_of_Reproducible
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/reproducible/ranks.cpp: a plan asked for ranks that cannot share the parts.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

using Model = nn::Sequential<nn::Linear<3, 3>, nn::Repeat<2, nn::Linear<3, 3>>, nn::Linear<3, 2>>;
using Run = Trainer<Model, nn::MeanSquaredError<2>, Reproducible<8>>;
#ifdef VALID
constexpr int ranks = 2;
#else
constexpr int ranks = 3;
#endif

static_assert(Run::plan.micro_batches_on(ranks) == 4);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
