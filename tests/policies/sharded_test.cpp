// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/sharded_test.cpp: what all sharding strategies have in common: state by name, evaluation,
// and the runs that their own tests look at, compiled here.
#include <cohort/policies/sharded.hpp>

#include <doctest/doctest.h>

#include "asked.hpp"
#include "compiled_once.hpp"
#include "replicated.hpp"

using namespace cohort;
using namespace cohort::test;

namespace cohort::test {
#define COHORT_REPLICATED(CASE) \
  template Seen train_replicated<zoo::CASE, fast_micro_batches<zoo::CASE>>(const Setup&);
COHORT_CASES_OF_FAST_TIER(COHORT_REPLICATED)
#undef COHORT_REPLICATED
COHORT_TRAININGS(COHORT_TRAINING)
COHORT_HEAPS(COHORT_HEAP)
COHORT_STEPS(COHORT_STEP)
COHORT_GRADIENTS(COHORT_GRADIENT)
template void check_late_updates<zoo::NestedRepeatCase, FullShard, 1>(int);
}  // namespace cohort::test

namespace {

using namespace asked;

// ---------------------------------------------------------------- evaluation, and state by name

TEST_CASE("sharded: evaluation, prediction and state by name answer what Replicate answers") {
  check_answers<ShardOptimizer>({1, 3, 4});
  check_answers<FullShard>({1, 2, 3, 4, 7});
  check_answers<HybridShard<2>>({2, 4, 6});
}

TEST_CASE("sharded: an evaluation of which no rank has rows is zero, and a step follows it") {
  launch<Threads>({.ranks = 3}, [](Threads& world) {
    const Setup setup{.ranks = 3};
    auto run = Two<FullShard>::on(world, options_of<Two<FullShard>, Case>(setup));
    const auto batch = batch_of<Case>(setup, 0);
    CHECK(run.evaluate(batch.x().samples(0, 0), batch.y().samples(0, 0)).weight == 0);
    CHECK(run.step(batch.x().samples(0, 6), batch.y().samples(0, 6)).step == 1);
  });
}

TEST_CASE("sharded: a name that the model lacks, or a wrong size, is refused on every rank") {
  launch<Threads>({.ranks = 3}, [](Threads& world) {
    auto run = Two<FullShard>::on(world, options_of<Two<FullShard>, Case>({}));
    const std::vector<float> values(16);
    CHECK_THROWS_AS(run.set_parameter("1.1.9.weight", values), InvalidInput);
    CHECK_THROWS_AS(run.set_parameter("0.weight", values), InvalidInput);  // 24 elements
  });
}

TEST_CASE("Replicate: a late update on any rank changes no bit") {
  check_late_updates<Case, Replicate, 1>(3);
}

// ---------------------------------------------------------------- forming

TEST_CASE("sharded: forming exchanges plan and options; whole parameters are also broadcast") {
  const Call agreement{{CollectiveKind::all_gather, DType::i64, 7, 0}, 3};
  const Setup setup{.ranks = 3};
  const auto full = train_sharded<Two<FullShard>, Case>(setup);
  const auto zero_1 = train_sharded<Two<ShardOptimizer>, Case>(setup);
  const std::size_t whole = Two<FullShard>::plan_type::shards.shard(3) * 3;
  for (std::size_t r = 0; r < 3; ++r) {
    CHECK(full[r].formation == std::vector<Call>{agreement});
    CHECK(zero_1[r].formation ==
          std::vector<Call>{agreement, {{CollectiveKind::broadcast, DType::f32, whole, 0}, 3}});
  }
}

// ---------------------------------------------------------------- the ZeRO paper's row

// 7.5 billion parameters in 37 blocks of 4096 features; 64 ranks; all numbers in fp32, Adam.
static_assert(Layout<Huge, CutAtRepeat>{}.num_elements() > 7'490'000'000 &&
              Layout<Huge, CutAtRepeat>{}.num_elements() < 7'510'000'000);

static_assert(within_a_percent(state_of_huge<Replicate>(), 120));
static_assert(within_a_percent(state_of_huge<ShardOptimizer>(), 60.9));
static_assert(within_a_percent(state_of_huge<ShardGradients>(), 31.4));
static_assert(within_a_percent(state_of_huge<FullShard>(), 1.875));  // the paper prints 1.9
static_assert(within_a_percent(state_of_huge<HybridShard<64>>(), 1.875));

/// What is whole beside it: root (49 million) and two blocks (201 million each), of gradients for ZeRO-2,
/// of parameters too for FullShard.
template <class How> constexpr double gathered_of_huge() {
  return static_cast<double>(
             Trainer<Huge, nn::CrossEntropy, DataParallel<How>>::plan.persistent_bytes(64)
                 .gathered) /
         1e9;
}
static_assert(gathered_of_huge<Replicate>() == 0 && gathered_of_huge<ShardOptimizer>() == 0);
static_assert(within_a_percent(gathered_of_huge<ShardGradients>(), 4 * (0.0493 + 2 * 0.2014)));
static_assert(within_a_percent(gathered_of_huge<FullShard>(), 8 * (0.0493 + 2 * 0.2014)));

}  // namespace
