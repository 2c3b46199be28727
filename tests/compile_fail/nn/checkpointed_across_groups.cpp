// expect-error: cohort: Groups cuts inside a Checkpointed<L>
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/checkpointed_across_groups.cpp: computing the block again would gather its layers once more.
#include <cohort/comm/threads.hpp>
#include <cohort/nn/checkpointed.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

using Wide = nn::Linear<4, 4>;
using Block = nn::Residual<nn::Sequential<Wide, nn::Linear<4, 4, nn::NoBias>>>;
#ifdef VALID
using Cut = Groups<Each<Block>>;
#else
using Cut = Groups<Each<Wide>>;
#endif
using Run = Trainer<nn::Sequential<nn::Repeat<2, nn::Checkpointed<Block>>, nn::Linear<4, 2>>,
                    nn::MeanSquaredError<2>, DataParallel<FullShard>, Cut>;
void train(Threads& world, Tensor<const float, 4> x, Tensor<const float, 2> y) {
  auto run = Run::on(world, {.batch = 4});
  run.step(x, y);
}
