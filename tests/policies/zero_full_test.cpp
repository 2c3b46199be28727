// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/zero_full_test.cpp: laws 2, 5 and 7 of ZeRO-1 and ZeRO-2 over the whole matrix, and the
// rest of Replicate's trainings.
#include <doctest/doctest.h>

#include "full.hpp"
#include "replicated.hpp"

using namespace cohort;
using namespace cohort::test;

namespace cohort::test {
#define COHORT_REPLICATED(CASE) \
  template Seen train_replicated<zoo::CASE, fast_micro_batches<zoo::CASE>>(const Setup&);
COHORT_CASES_OF_FULL_TIER(COHORT_REPLICATED)
#undef COHORT_REPLICATED
#define COHORT_REPLICATED(CASE)                                                                   \
  template Seen train_replicated<zoo::CASE, 1 + fast_micro_batches<zoo::CASE> % 3>(const Setup&); \
  template Seen train_replicated<zoo::CASE, 1 + (fast_micro_batches<zoo::CASE> + 1) % 3>(         \
      const Setup&);
COHORT_SHARDED_CASES(COHORT_REPLICATED)
#undef COHORT_REPLICATED
}  // namespace cohort::test

namespace {
TEST_CASE("ShardOptimizer: laws 2, 5 and 7, the whole matrix [full]") {
  check_matrix<ShardOptimizer>();
}
TEST_CASE("ShardGradients: laws 2, 5 and 7, the whole matrix [full]") {
  check_matrix<ShardGradients>();
}
TEST_CASE("ShardOptimizer: the heap is the planned peak, one micro-batch [full]") {
  using Case = zoo::NestedRepeatCase;
  for (int ranks : {1, 2, 3, 5, 8}) check_heap<ShardedRun<Case, ShardOptimizer>, Case>(ranks);
}
TEST_CASE("ShardGradients: calls and heap are as planned, one micro-batch and three [full]") {
  using Case = zoo::NestedRepeatCase;
  for (int ranks : {1, 2, 3, 5, 8}) {
    if (ranks < 8) check_tape<ShardedRun<Case, ShardGradients, 3>, Case>(ranks);
    check_heap<ShardedRun<Case, ShardGradients>, Case>(ranks);
    check_heap<ShardedRun<Case, ShardGradients, 3>, Case>(ranks);
  }
}
template <class How> void check_frozen() {
  using Frozen = zoo::PartlyFrozenCase;
  for (int ranks : {1, 3}) {
    check_tape<ShardedRun<Frozen, How, 2>, Frozen>(ranks);
    check_heap<ShardedRun<Frozen, How, 2>, Frozen>(ranks);
  }
}
TEST_CASE("ShardOptimizer: calls and heap are as planned where parameters are frozen [full]") {
  check_frozen<ShardOptimizer>();
}
TEST_CASE("ShardGradients: calls and heap are as planned where parameters are frozen [full]") {
  check_frozen<ShardGradients>();
}
TEST_CASE("ShardOptimizer: a late update on any rank changes no bit [full]") {
  check_late_updates<zoo::NestedRepeatCase, ShardOptimizer, 3>(3);
}
TEST_CASE("ShardGradients: a late update on any rank changes no bit [full]") {
  check_late_updates<zoo::NestedRepeatCase, ShardGradients, 3>(3);
}
TEST_CASE("Replicate: each call of each rank late in turn changes no bit [full]") {
  using Case = zoo::NestedRepeatCase;
  check_each_call_late<ShardedRun<Case, Replicate, 2>, Case>(3);
}
}  // namespace
