// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/laws_test.cu: the laws of strategies on a real GPU, of ranks that share it.
#include <cohort/cuda.hpp>

#include <doctest/doctest.h>

#include "../run/cuda/support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using zoo::TiedGptCase;

template <class... Ps> void strategies_agree(std::initializer_list<int> worlds) {
  for (const int ranks : worlds) {
    CAPTURE(ranks);
    const Setup setup{.ranks = ranks, .each = 4, .steps = 3};
    const auto expected = train_on_gpu<TiedGptRun<Replicate, Ps...>, TiedGptCase>(setup);
    CHECK(all_same(expected, expected[0]));
    CHECK(
        all_same(train_on_gpu<TiedGptRun<ShardOptimizer, Ps...>, TiedGptCase>(setup), expected[0]));
    CHECK(all_same(train_on_gpu<TiedGptRun<FullShard, Ps...>, TiedGptCase>(setup), expected[0]));
  }
}

TEST_CASE("laws: on one GPU every strategy has the same bits, for 1 to 8 ranks") {
  strategies_agree<>({1, 2, 3, 8});
}
TEST_CASE("laws: in bf16 with accumulation too") {
  strategies_agree<MixedPrecision<bf16, fp32>, GradAccum<2>>({2, 4});
}

TEST_CASE("laws: one rank and two train with the bits of four") {
  const auto four =
      train_on_gpu<TiedGptRun<Replicate>, TiedGptCase>({.ranks = 4, .each = 4, .steps = 3});
  for (const int ranks : {1, 2}) {
    CAPTURE(ranks);
    const Setup setup{.ranks = ranks, .each = 16 / ranks, .steps = 3};
    using Run = TiedGptRun<FullShard, Reproducible<4>>;
    CHECK(all_same(train_on_gpu<Run, TiedGptCase>(setup), four[0]));
  }
}

/// With dropout: each rank must drop what its own samples drop.
using Dropping = zoo::DroppingGptCase;
template <class... Ps>
using DroppingRun = Trainer<Dropping::Model, Dropping::Loss, ClipGradNorm, Ps...>;

TEST_CASE("laws: gradients are the model's, against fp64, on two ranks") {
  const Setup setup{.ranks = 2, .each = 3};
  const auto traces = train_on_gpu<DroppingRun<DataParallel<FullShard>>, Dropping>(setup);
  const Exact exact =
      ExactGradient<Dropping>(traces[0].start).of(batch_of<Dropping>(setup, 0), setup.ranks);
  const Worst worst = worst_error(traces[0].gradients, exact, 6 * Dropping::tokens, setup.ranks);
  CAPTURE(worst.name);
  CHECK(worst.ratio <= 1);
}

TEST_CASE("laws: a step is repeated with the same bits, and a captured one has them too") {
  const Setup setup{.ranks = 1, .each = 4, .steps = 5};
  using Run = DroppingRun<DataParallel<FullShard>>;
  const auto eager = train_on_gpu<Run, Dropping>(setup);
  CHECK(same_bits(train_on_gpu<Run, Dropping>(setup)[0], eager[0]));
  using Captured = DroppingRun<DataParallel<FullShard>, CudaGraph>;
  CHECK(same_bits(train_on_gpu<Captured, Dropping>(setup)[0], eager[0]));
}

TEST_CASE("laws: with BatchNorm every strategy has the same running statistics, the CPU's nearly") {
  using Case = zoo::NormedCase;
  const Setup setup{.ranks = 3, .each = 4, .steps = 1};
  using Replicated = Trainer<Case::Model, Case::Loss, ClipGradNorm, GradAccum<2>>;
  using Sharded =
      Trainer<Case::Model, Case::Loss, ClipGradNorm, GradAccum<2>, DataParallel<FullShard>>;
  const auto gpu = train_on_gpu<Replicated, Case>(setup), cpu = train<Replicated, Case>(setup);
  CHECK(all_same(train_on_gpu<Sharded, Case>(setup), gpu[0]));
  for (std::size_t i = 0; i < gpu[0].parameters.size(); ++i) {
    CAPTURE(gpu[0].parameters[i].name);
    if (gpu[0].parameters[i].name.find("running") == std::string::npos) continue;
    CHECK(gpu[0].parameters[i].values != gpu[0].start[i].values);
    for (std::size_t k = 0; k < 5; ++k)  // of order one, from a few dozen roundings
      CHECK(std::abs(gpu[0].parameters[i].values[k] - cpu[0].parameters[i].values[k]) <=
            64 * 0x1p-24);
  }
}

TEST_CASE("laws: what is computed again has the bits of what was kept") {
  const Setup setup{.ranks = 2, .each = 4, .steps = 3};
  const auto check = [&]<class... Ps>(std::type_identity<std::tuple<Ps...>>) {
    const auto kept =
        train_on_gpu<Trainer<zoo::Gpt, nn::CrossEntropy, ClipGradNorm, Ps...>, zoo::GptCase>(setup);
    using Again = Trainer<zoo::CheckpointedGpt, nn::CrossEntropy, ClipGradNorm, Ps...>;
    CHECK(all_same(train_on_gpu<Again, zoo::CheckpointedGptCase>(setup), kept[0]));
  };
  check(std::type_identity<std::tuple<DataParallel<FullShard>>>{});
  check(std::type_identity<std::tuple<MixedPrecision<bf16, fp32>, GradAccum<2>>>{});
}

}  // namespace
