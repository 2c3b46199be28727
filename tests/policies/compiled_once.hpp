// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/compiled_once.hpp: what the tests of strategies run in the fast tier, each compiled in
// sharded_test.cpp alone: there a model costs the compiler once, and each further strategy of it little.
#pragma once
#include "sharding.hpp"

// X(case, strategy, micro-batches, mode) for every ...
// training
#define COHORT_TRAININGS(X)                             \
  X(NestedRepeatCase, ShardOptimizer, 1, KeepUnsharded) \
  X(NestedRepeatCase, ShardOptimizer, 3, KeepUnsharded) \
  X(OddMlpCase, ShardOptimizer, 3, KeepUnsharded)       \
  X(NestedRepeatCase, ShardGradients, 1, KeepUnsharded) \
  X(NestedRepeatCase, ShardGradients, 3, ReduceEach)    \
  X(OddMlpCase, ShardGradients, 3, KeepUnsharded)       \
  X(NestedRepeatCase, FullShard, 1, KeepUnsharded)      \
  X(NestedRepeatCase, FullShard, 3, ReduceEach)         \
  X(LittleFrozenCase, FullShard, 2, KeepUnsharded)      \
  X(TiedGptCase, FullShard, 2, KeepUnsharded)           \
  X(OddMlpCase, FullShardKeepForward, 3, KeepUnsharded) \
  X(NestedRepeatCase, HybridShard<2>, 1, KeepUnsharded) \
  X(NestedRepeatCase, HybridShard<2>, 3, ReduceEach)    \
  X(OddMlpCase, HybridShard<2>, 3, KeepUnsharded)       \
  X(NestedRepeatCase, HybridShard<3>, 1, KeepUnsharded) \
  X(NestedRepeatCase, HybridShard<4>, 1, KeepUnsharded)
// run whose heap is compared with the plan
#define COHORT_HEAPS(X)                                 \
  X(NestedRepeatCase, ShardOptimizer, 3, KeepUnsharded) \
  X(NestedRepeatCase, ShardGradients, 3, ReduceEach)    \
  X(NestedRepeatCase, FullShard, 3, ReduceEach)         \
  X(LittleFrozenCase, FullShard, 2, KeepUnsharded)      \
  X(OddMlpCase, FullShardKeepForward, 3, KeepUnsharded) \
  X(NestedRepeatCase, HybridShard<2>, 1, KeepUnsharded)
// run whose steps take no memory
#define COHORT_STEPS(X)                                 \
  X(NestedRepeatCase, ShardOptimizer, 3, KeepUnsharded) \
  X(NestedRepeatCase, ShardGradients, 3, ReduceEach)    \
  X(NestedRepeatCase, FullShard, 3, ReduceEach)         \
  X(NestedRepeatCase, HybridShard<2>, 3, ReduceEach)
// run whose gradient is compared with the one in fp64
#define COHORT_GRADIENTS(X)                          \
  X(NestedRepeatCase, ShardGradients, 3, ReduceEach) \
  X(NestedRepeatCase, FullShard, 3, ReduceEach)      \
  X(NestedRepeatCase, HybridShard<2>, 3, ReduceEach) \
  X(NestedRepeatCase, HybridShard<3>, 1, KeepUnsharded)

#define COHORT_TRAINING(CASE, HOW, N, MODE)                                                 \
  template std::vector<Seen> train_sharded<ShardedRun<zoo::CASE, HOW, N, MODE>, zoo::CASE>( \
      const Setup&);
#define COHORT_HEAP(CASE, HOW, N, MODE) \
  template void check_heap<ShardedRun<zoo::CASE, HOW, N, MODE>, zoo::CASE>(int);
#define COHORT_STEP(CASE, HOW, N, MODE) \
  template void check_steps_allocate_nothing<ShardedRun<zoo::CASE, HOW, N, MODE>, zoo::CASE>(int);
#define COHORT_GRADIENT(CASE, HOW, N, MODE) \
  template void check_gradient<ShardedRun<zoo::CASE, HOW, N, MODE>, zoo::CASE, N>(int);

namespace cohort::test {
#define COHORT_EXTERN_TRAINING(...) extern COHORT_TRAINING(__VA_ARGS__)
#define COHORT_EXTERN_HEAP(...) extern COHORT_HEAP(__VA_ARGS__)
#define COHORT_EXTERN_STEP(...) extern COHORT_STEP(__VA_ARGS__)
#define COHORT_EXTERN_GRADIENT(...) extern COHORT_GRADIENT(__VA_ARGS__)
COHORT_TRAININGS(COHORT_EXTERN_TRAINING)
COHORT_HEAPS(COHORT_EXTERN_HEAP)
COHORT_STEPS(COHORT_EXTERN_STEP)
COHORT_GRADIENTS(COHORT_EXTERN_GRADIENT)
extern template void check_late_updates<zoo::NestedRepeatCase, FullShard, 1>(int);
}  // namespace cohort::test
