// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/mixed_precision_full_test.cpp: law 2 in 16-bit types, every model of the zoo.
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

}  // namespace
