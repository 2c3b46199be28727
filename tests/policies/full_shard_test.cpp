// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/full_shard_test.cpp: FSDP has Replicate's bits; its order and bytes are as planned.
#include <cohort/policies/full_shard.hpp>

#include <doctest/doctest.h>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<FullShard> && Policy<DataParallel<FullShard>>);

TEST_CASE("FullShard: the bits of Replicate after 20 steps, a diagonal of models, ranks and micro-batches") {
  check_law_2<FullShard>(false);
}
TEST_CASE("FullShard: the bits of Replicate after 20 steps, every model, ranks, micro-batches, stream [full]") {
  check_law_2<FullShard>(true);
}

TEST_CASE("FullShard: every rank makes the planned calls, and no other") {
  for (int ranks : {1, 2, 3, 5}) {
    check_tape<ShardedRun<zoo::NestedRepeatCase, FullShard, 1>, zoo::NestedRepeatCase>(ranks);
    check_tape<ShardedRun<zoo::OddMlpCase, FullShard, 3>, zoo::OddMlpCase>(ranks);
  }
}
