// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/zero_full_test.cpp: laws 2, 5 and 7 of ZeRO-1 and ZeRO-2 over the whole matrix, and the
// rest of Replicate's trainings.
#include <doctest/doctest.h>

#include "full.hpp"

using namespace cohort;
using namespace cohort::test;

namespace cohort::test {
template <class Case, int N> Seen train_replicated(const Setup& setup) {
  return train_sharded<ShardedRun<Case, Replicate, N>, Case>(setup)[0];
}
#define COHORT_REPLICATED(CASE)                                                                   \
  template Seen train_replicated<zoo::CASE, 1 + fast_micro_batches<zoo::CASE> % 3>(const Setup&); \
  template Seen train_replicated<zoo::CASE, 1 + (fast_micro_batches<zoo::CASE> + 1) % 3>(         \
      const Setup&);
COHORT_REPLICATED(TiedGptCase)
COHORT_REPLICATED(GptCase)
COHORT_REPLICATED(OddMlpCase)
COHORT_REPLICATED(BranchingCase)
COHORT_REPLICATED(NestedRepeatCase)
COHORT_REPLICATED(PartlyFrozenCase)
COHORT_REPLICATED(SingleParameterCase)
COHORT_REPLICATED(HugeAndTinyCase)
#undef COHORT_REPLICATED
}  // namespace cohort::test

namespace {
TEST_CASE("ShardOptimizer: laws 2, 5 and 7, the whole matrix [full]") {
  check_matrix<ShardOptimizer>();
}
TEST_CASE("ShardGradients: laws 2, 5 and 7, the whole matrix [full]") {
  check_matrix<ShardGradients>();
}
TEST_CASE("Replicate: each call of each rank late in turn changes no bit [full]") {
  using Case = zoo::NestedRepeatCase;
  check_each_call_late<ShardedRun<Case, Replicate, 2>, Case>(3);
}
}  // namespace
