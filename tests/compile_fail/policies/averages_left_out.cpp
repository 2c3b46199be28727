// expect-error: cohort: this strategy's program leaves out the sums of averaged parameters
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/averages_left_out.cpp: a strategy of one's own that reduces the loss, not averages.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <cohort/nn/batch_norm.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct AllAtTheEnd : Replicate {
  template <class Plan, MicroBatch M> static constexpr auto program() {
    Program<3> p;
    if constexpr (is_last(M)) {
      constexpr int end = Plan::markers::backward_ended(0);
      p.add({OpKind::all_reduce, 0, end, Plan::layout.size, DType::f32});
#ifdef VALID
      add_sums<Plan>(p);
#else
      p.add({OpKind::loss, 0, end, 2, DType::f64});
#endif
    }
    return p;
  }
};
using Model = nn::Sequential<nn::Linear<3, 3>, nn::BatchNorm<3>, nn::Linear<3, 2>>;
using Run = Trainer<Model, nn::MeanSquaredError<2>, DataParallel<AllAtTheEnd>>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 4});
    const float x[12] = {}, y[8] = {};
    run.step(Tensor<const float, 3>{x, {4}}, Tensor<const float, 2>{y, {4}});
  });
}
