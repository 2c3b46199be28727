// expect-error: cohort: TreeOrder and Reproducible fix the order of sums over ranks, and this communicator has its own.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/reproducible/order_of_its_own.cpp: a communicator that says nothing of its order, as NCCL.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

using Model = nn::Sequential<nn::Linear<3, 3>, nn::Repeat<2, nn::Linear<3, 3>>, nn::Linear<3, 2>>;
using Run = Trainer<Model, nn::MeanSquaredError<2>, Reproducible<2>>;
#ifdef VALID
using World = Threads;
#else
struct World : Threads {
  static constexpr bool sums_in_tree_order = false;
};
#endif

static_assert(Run::plan.peak_bytes({.ranks = 2, .batch = 4}) < std::size_t{1} << 30);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& threads) {
    World world{std::move(threads)};
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
