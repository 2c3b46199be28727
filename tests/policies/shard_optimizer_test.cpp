// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/shard_optimizer_test.cpp: ZeRO-1 has Replicate's bits; what is planned is what is called and taken.
#include <cohort/policies/shard_optimizer.hpp>

#include <doctest/doctest.h>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<ShardOptimizer> && Policy<DataParallel<ShardOptimizer>>);

TEST_CASE("ShardOptimizer: the bits of Replicate after 20 steps, a diagonal of models, ranks and micro-batches") {
  check_law_2<ShardOptimizer>(false);
}
TEST_CASE("ShardOptimizer: the bits of Replicate after 20 steps, every model, ranks, micro-batches, stream [full]") {
  check_law_2<ShardOptimizer>(true);
}

TEST_CASE("ShardOptimizer: every rank makes the planned calls, and no other") {
  for (int ranks : {1, 2, 3, 5}) {
    check_tape<ShardedRun<zoo::NestedRepeatCase, ShardOptimizer, 1>, zoo::NestedRepeatCase>(ranks);
    check_tape<ShardedRun<zoo::OddMlpCase, ShardOptimizer, 3>, zoo::OddMlpCase>(ranks);
  }
}
