// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/strategies_full_test.cpp: law 2 on a GPU that ranks share, further models, precisions and strategies.
#include <doctest/doctest.h>

#include "agreement.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

/// OddMlp has no Repeat: its groups are named.
using OddGroups = Groups<Each<nn::Linear<7, 13>, nn::Linear<5, 3>>>;

TEST_CASE("GPU, law 2: named groups, accumulation, bf16, and fp16 under a loss scale [full]") {
  strategies_agree<zoo::OddMlpCase, OddGroups>(3, 2, 4);
  strategies_agree<zoo::GptCase, GradAccum<2>>(2, 2, 4);
  strategies_agree<zoo::GptCase, GradAccum<2>, MixedPrecision<bf16, fp32>>(2, 2, 4);
  strategies_agree<zoo::TiedGptCase, MixedPrecision<bf16, fp32>>(2, 2, 2);
  strategies_agree<zoo::GptCase, MixedPrecision<fp16, fp32, fp32>, DynamicLossScale<>>(2, 2, 2);
}

TEST_CASE(
    "GPU, law 2: with BatchNorm, whose running statistics are the CPU's within rounding [full]") {
  using Case = zoo::NormedCase;
  strategies_agree<Case, GradAccum<2>, MixedPrecision<bf16, fp32>>(2, 3, 4);
  const Setup setup{.ranks = 3, .each = 4, .steps = 1};
  using Run = RunOf<Case, FullShard, GradAccum<2>>;
  const auto cpu = train<Run, Case>(setup), gpu = train_on_gpu<Run, Case>(setup);
  int averages = 0;
  for (std::size_t i = 0; i < gpu[0].parameters.size(); ++i) {
    const auto &on_cpu = cpu[0].parameters[i], &on_gpu = gpu[0].parameters[i];
    if (on_gpu.name.find("running") == std::string::npos) continue;
    averages += on_gpu.values != gpu[0].start[i].values;
    for (std::size_t k = 0; k < on_gpu.values.size();
         ++k)  // of order one, from a few dozen roundings
      CHECK(std::abs(on_gpu.values[k] - on_cpu.values[k]) <= 64 * 0x1p-24);
  }
  CHECK(averages == 6);
}

TEST_CASE("GPU, law 2: HybridShard over a power of two agrees too [full]") {
  const Setup setup{.ranks = 4, .each = 2, .steps = 2};
  const auto expected = train_on_gpu<RunOf<zoo::TiedGptCase, Replicate>, zoo::TiedGptCase>(setup);
  CHECK(all_same(train_on_gpu<RunOf<zoo::TiedGptCase, HybridShard<2>>, zoo::TiedGptCase>(setup),
                 expected[0]));
}

TEST_CASE(
    "GPU, law 8: what is computed again has the bits and the collectives of what was kept [full]") {
  const Setup setup{.ranks = 2, .each = 4, .steps = 2};
  const auto kept = train_on_gpu<RunOf<zoo::GptCase, FullShard, GradAccum<2>>, zoo::GptCase>(setup);
  using Case = zoo::CheckpointedGptCase;
  const auto again = train_on_gpu<RunOf<Case, FullShard, GradAccum<2>>, Case>(setup);
  CHECK(all_same(again, kept[0]));
  CHECK(again[0].calls == kept[0].calls);
}

TEST_CASE("GPU, law 5: recorded collectives are the planned ones, reduced in bf16 [full]") {
  using Run = RunOf<zoo::GptCase, ShardOptimizer, GradAccum<2>, MixedPrecision<bf16, fp32>>;
  const auto traces = train_on_gpu<Run, zoo::GptCase>({.ranks = 1, .each = 4, .steps = 1});
  CHECK(traces[0].calls == planned_calls<Run>());
}

}  // namespace
