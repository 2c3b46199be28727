// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/hybrid_shard_test.cpp: shards inside groups, copies across: Replicate's bits, planned calls.
#include <cohort/policies/hybrid_shard.hpp>

#include <doctest/doctest.h>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<HybridShard<2>> && Policy<DataParallel<HybridShard<2>>>);

TEST_CASE("HybridShard<2>: the bits of Replicate after 20 steps, a diagonal of models, ranks and micro-batches") {
  check_law_2<HybridShard<2>>(false);
}
TEST_CASE("HybridShard<2>: the bits of Replicate after 20 steps, every model, ranks, micro-batches, stream [full]") {
  check_law_2<HybridShard<2>>(true);
}

TEST_CASE("HybridShard<2>: every rank makes the planned calls, and no other") {
  for (int ranks : {2, 4, 6}) {
    check_tape<ShardedRun<zoo::NestedRepeatCase, HybridShard<2>, 1>, zoo::NestedRepeatCase>(ranks);
    check_tape<ShardedRun<zoo::OddMlpCase, HybridShard<2>, 3>, zoo::OddMlpCase>(ranks);
  }
}
