// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/reproducible_full_test.cpp: the law over all models and strategies, numbers of ranks, and types.
#include <doctest/doctest.h>

#include "reproducible.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

template <class How> void check_models() {
  for_each_sharded_case([]<class Case>() {
    check_reproducible<Case, How, 8, fast_micro_batches<Case>>(2 * fast_micro_batches<Case>, 10,
                                                               {1, 2, 4, 8});
  });
  check_reproducible<zoo::NestedRepeatCase, How, 12, 1>(1, 5, {3, 6, 12});
  check_reproducible<zoo::DroppingGptCase, How, 4, 2>(2, 5, {1, 2, 4});
  check_reproducible<zoo::DroppingNormedCase, How, 16, 1>(2, 5, {1, 2, 4, 8, 16});
}

TEST_CASE("Reproducible: Replicate, every model [full]") { check_models<Replicate>(); }
TEST_CASE("Reproducible: ShardOptimizer, every model [full]") { check_models<ShardOptimizer>(); }
TEST_CASE("Reproducible: ShardGradients, every model [full]") { check_models<ShardGradients>(); }
TEST_CASE("Reproducible: FullShard, every model [full]") { check_models<FullShard>(); }
TEST_CASE("Reproducible: FullShardKeepForward, every model [full]") {
  check_models<FullShardKeepForward>();
}

TEST_CASE(
    "Reproducible: 16-bit types with fp32 reductions, their scale and their rounding [full]") {
  using zoo::DroppingNormedCase, zoo::TiedGptCase;
  check_reproducible<TiedGptCase, FullShard, 8, 1, MixedPrecision<bf16, fp32, fp32>>(2, 8,
                                                                                     {1, 2, 4, 8});
  check_reproducible<TiedGptCase, ShardOptimizer, 8, 2, MixedPrecision<bf16, bf16, fp32>,
                     StochasticRounding>(2, 8, {1, 2, 4, 8});
  check_reproducible<TiedGptCase, Replicate, 8, 1, MixedPrecision<fp16, fp32, fp32>,
                     DynamicLossScale<>>(2, 8, {1, 2, 4, 8});
  check_reproducible<DroppingNormedCase, FullShard, 4, 1, MixedPrecision<bf16, fp32, fp32>>(
      3, 8, {1, 2, 4});
}

}  // namespace
