// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/shard_gradients_test.cpp: ZeRO-2 has Replicate's bits; what is planned is what is called and taken.
#include <cohort/policies/shard_gradients.hpp>

#include <doctest/doctest.h>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<ShardGradients> && Policy<DataParallel<ShardGradients>>);

TEST_CASE("ShardGradients: the bits of Replicate after 20 steps, a diagonal of models, ranks and micro-batches") {
  check_law_2<ShardGradients>(false);
}
TEST_CASE("ShardGradients: the bits of Replicate after 20 steps, every model, ranks, micro-batches, stream [full]") {
  check_law_2<ShardGradients>(true);
}

TEST_CASE("ShardGradients: every rank makes the planned calls, and no other") {
  for (int ranks : {1, 2, 3, 5}) {
    check_tape<ShardedRun<zoo::NestedRepeatCase, ShardGradients, 1>, zoo::NestedRepeatCase>(ranks);
    check_tape<ShardedRun<zoo::OddMlpCase, ShardGradients, 3>, zoo::OddMlpCase>(ranks);
  }
}
