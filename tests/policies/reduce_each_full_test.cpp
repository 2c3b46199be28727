// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/reduce_each_full_test.cpp: law 2 where each micro-batch is reduced: FullShard has the bits
// of ZeRO-2, whose gradient is right.
#include <doctest/doctest.h>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {
template <class Case, class How> using RunOf = ShardedRun<Case, How, 3, ReduceEach>;

TEST_CASE(
    "GradAccum<3, ReduceEach>: all strategies that shard gradients have the same bits [full]") {
  for_each_sharded_case([]<class Case>() {
    INFO(Case::name());
    for (int ranks : law_rank_counts) {
      CAPTURE(ranks);
      const Setup setup{.ranks = ranks, .steps = 20};
      const auto expected = train_sharded<RunOf<Case, ShardGradients>, Case>(setup);
      CHECK(all_same(expected, expected[0]));
      check_gradient<RunOf<Case, ShardGradients>, Case, 3>(ranks);
      for (StreamMode stream : both_streams) {
        const Setup again{.ranks = ranks, .steps = 20, .stream = stream};
        CHECK(all_same(train_sharded<RunOf<Case, FullShard>, Case>(again), expected[0]));
        CHECK(all_same(train_sharded<RunOf<Case, FullShardKeepForward>, Case>(again), expected[0]));
      }
    }
  });
}
}  // namespace
