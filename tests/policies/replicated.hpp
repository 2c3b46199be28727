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

/// X(case) for every case of zoo that the laws of sharding are checked with.
#define COHORT_SHARDED_CASES(X) \
  X(TiedGptCase)                \
  X(GptCase)                    \
  X(OddMlpCase)                 \
  X(BranchingCase)              \
  X(NestedRepeatCase)           \
  X(PartlyFrozenCase)           \
  X(SingleParameterCase)        \
  X(HugeAndTinyCase)
