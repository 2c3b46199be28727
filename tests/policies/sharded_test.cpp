// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/sharded_test.cpp: what all sharding strategies have in common: state by name, evaluation,
// and Replicate's bits, with which their own tests compare.
#include <cohort/policies/sharded.hpp>

#include <doctest/doctest.h>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

namespace cohort::test {
template <class Case, int N> Seen train_replicated(const Setup& setup) {
  return train_sharded<ShardedRun<Case, Replicate, N>, Case>(setup)[0];
}
#define COHORT_REPLICATED(CASE)                                \
  template Seen train_replicated<zoo::CASE, 1>(const Setup&); \
  template Seen train_replicated<zoo::CASE, 2>(const Setup&); \
  template Seen train_replicated<zoo::CASE, 3>(const Setup&);
COHORT_REPLICATED(TiedGptCase)
COHORT_REPLICATED(OddMlpCase)
COHORT_REPLICATED(BranchingCase)
COHORT_REPLICATED(NestedRepeatCase)
COHORT_REPLICATED(SingleParameterCase)
COHORT_REPLICATED(HugeAndTinyCase)
#undef COHORT_REPLICATED
}  // namespace cohort::test

TEST_CASE("sharded: Replicate itself is on all ranks alike") {
  using Run = ShardedRun<zoo::NestedRepeatCase, Replicate, 1>;
  const auto all = train_sharded<Run, zoo::NestedRepeatCase>({.ranks = 3, .steps = 2});
  CHECK(all_same(all, all[0]));
}
