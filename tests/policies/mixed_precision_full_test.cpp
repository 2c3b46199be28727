// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/mixed_precision_full_test.cpp: law 2 in 16-bit types, every model of the zoo, and
// further strategies and sizes.
#include <doctest/doctest.h>

#include "mixed.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Half = MixedPrecision<bf16, fp32>;
using HalfWide = MixedPrecision<bf16, fp32, fp32>;

TEST_CASE("MixedPrecision<bf16, fp32>: every model and strategy has the bits of Replicate [full]") {
  for_each_sharded_case([]<class Case>() {
    for (StreamMode stream : both_streams)
      check_mixed<Case, 1, Half>({1, 2, 3, 4, 5, 7, 8, 16}, stream);
  });
}
TEST_CASE("MixedPrecision<bf16, fp32, fp32>: HybridShard too, in two micro-batches [full]") {
  zoo::for_cases<zoo::TiedGptCase, zoo::OddMlpCase, zoo::PartlyFrozenCase>([]<class Case>() {
    check_mixed<Case, 2, HalfWide>({2, 4, 8}, both_streams[1], std::type_identity<HybridShard<2>>{},
                                   std::type_identity<FullShardKeepForward>{});
  });
}
TEST_CASE("MixedPrecision<fp16, fp32>: every strategy has the bits of Replicate [full]") {
  zoo::for_cases<zoo::TiedGptCase, zoo::OddMlpCase, zoo::NestedRepeatCase>([]<class Case>() {
    check_mixed<Case, 2, MixedPrecision<fp16, fp32>, DynamicLossScale<>>({1, 3, 4, 6},
                                                                         both_streams[0]);
  });
}
TEST_CASE("MixedPrecision<bf16, fp32>: every strategy has the bits of Replicate, a Gpt [full]") {
  check_mixed<zoo::GptCase, 1, Half>({1, 3, 4}, both_streams[1]);
}
TEST_CASE("MixedPrecision<bf16, fp32>: with micro-batches and inputs of features [full]") {
  check_mixed<zoo::OddMlpCase, 2, Half>({2, 5}, both_streams[0], std::type_identity<FullShard>{});
}
TEST_CASE("MixedPrecision: frozen parameters, under FullShard [full]") {
  check_mixed<zoo::PartlyFrozenCase, 1, HalfWide>({3}, both_streams[1],
                                                  std::type_identity<FullShard>{});
}

TEST_CASE("MixedPrecision: the heap is the planned peak, further strategies [full]") {
  using Whole = MixedRun<zoo::GptCase, Replicate, 1, Half>;
  check_heap<Whole, zoo::GptCase>(2);
  check_steps_allocate_nothing<Whole, zoo::GptCase>(2);
  check_heap<MixedRun<zoo::GptCase, ShardGradients, 1, Half>, zoo::GptCase>(3);
  check_heap<MixedRun<zoo::OddMlpCase, Replicate, 2, Half>, zoo::OddMlpCase>(2);
}

// mixed_precision_test.cpp has Replicate and FullShard.
static_assert(within_a_percent(state_of_huge<ShardOptimizer, Half>(), 46.4));
static_assert(within_a_percent(state_of_huge<ShardGradients, Half>(), 16.9));

TEST_CASE("MixedPrecision: a late update on any rank changes no bit [full]") {
  check_late_updates<zoo::GptCase, ShardOptimizer, 1, Half>(3);
}

TEST_CASE("MixedPrecision: sums have the type of Reduce, with masters and without [full]") {
  using Case = zoo::GptCase;
  const Setup setup{.ranks = 2, .steps = 4};
  const auto wide = train_sharded<MixedRun<Case, FullShard, 1, HalfWide>, Case>(setup);
  CHECK(share_in_bf16(wide[0].gradients) < 0.2);
  using NoMasters = MixedPrecision<bf16, bf16, fp32>;
  const auto none = train_sharded<MixedRun<Case, ShardGradients, 1, NoMasters>, Case>(setup);
  CHECK(share_in_bf16(none[0].parameters) == 1);
  CHECK(share_in_bf16(none[0].gradients) < 0.2);
}

}  // namespace
