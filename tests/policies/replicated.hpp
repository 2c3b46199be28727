// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/replicated.hpp: Replicate's trainings, each compiled in one file and compared with in many.
#pragma once
#include "sharding.hpp"

namespace cohort::test {
template <class Case, int N> Seen train_replicated(const Setup& setup) {
  return train_sharded<ShardedRun<Case, Replicate, N>, Case>(setup)[0];
}
}  // namespace cohort::test

/// X(case) for the cases that strategies are compared with Replicate over: in the fast tier, and the others.
#define COHORT_CASES_OF_FAST_TIER(X) \
  X(TiedGptCase)                     \
  X(OddMlpCase)                      \
  X(NestedRepeatCase)                \
  X(LittleFrozenCase)
#define COHORT_CASES_OF_FULL_TIER(X) \
  X(GptCase)                         \
  X(BranchingCase)                   \
  X(PartlyFrozenCase)                \
  X(SingleParameterCase)             \
  X(HugeAndTinyCase)                 \
  X(AveragingCase)
/// The cases of for_each_sharded_case.
#define COHORT_SHARDED_CASES(X) \
  X(TiedGptCase)                \
  X(OddMlpCase)                 \
  X(NestedRepeatCase)           \
  COHORT_CASES_OF_FULL_TIER(X)
