// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/codegen/step_bf16.cpp: step.cpp in bf16, fully sharded.
// root: ^\(anonymous namespace\)::one_step\(|_State_impl<.*CpuStream<.*::_M_run\(\)
// allow: ^(void )?cohort::Threads::(run<|abort\(|what\[|~Threads\()|^cohort::detail::Channel::~|^cohort::(detail::)?(Execution|CpuStream|Driver)<[^{}]*>::(Execution|CpuStream|Driver)\([^{}]*\)( \[.*\])?$|__gnu_cxx::__to_xstring<
#include <cohort/cohort.hpp>

namespace {
using namespace cohort;

using Block = nn::Sequential<nn::Residual<nn::Sequential<nn::LayerNorm<16>, nn::Attention<16, 2>>>,
                             nn::Residual<nn::Sequential<nn::LayerNorm<16>, nn::Linear<16, 32>,
                                                         nn::Gelu<32>, nn::Linear<32, 16>>>>;
using Model = nn::Sequential<nn::Embedding<11, 16>, nn::AddPosition<8, 16>, nn::Repeat<2, Block>,
                             nn::LayerNorm<16>, nn::Linear<16, 11>>;
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>, MixedPrecision<bf16, fp32>,
                    GradAccum<2>, ClipGradNorm, optim::AdamW, optim::WarmupCosine>;

/// A function of its own, so that the object code says where a step begins and ends.
[[gnu::noinline]] StepReport one_step(Run::execution<Threads>& run, Tokens x, Tokens y) {
  return run.step(x, y);
}
}  // namespace

int main() {
  double last = 0;
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run::on(world, {.seed = 1,
                               .batch = 4,
                               .tokens = 8,
                               .schedule = {.warmup_steps = 1, .total_steps = 3},
                               .clip = {.max_norm = 0.5},
                               .stream = StreamMode::worker});
    int ids[32];
    for (int i = 0; i < 32; ++i) ids[i] = (3 * i + world.rank()) % 11;
    for (int step = 0; step < 3; ++step) {
      const StepReport report = one_step(run, {ids, {4, 8}}, {ids, {4, 8}});
      if (world.rank() == 0) last = report.loss;
    }
  });
  return last > 0 && last < 4 ? 0 : 1;
}
