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
TEST_CASE("Replicate: each call of each rank late in turn changes no bit [full]") {
  using Case = zoo::NestedRepeatCase;
  check_each_call_late<ShardedRun<Case, Replicate, 2>, Case>(3);
}
}  // namespace
