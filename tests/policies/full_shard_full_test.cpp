// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/full_shard_full_test.cpp: laws 2, 5 and 7 of FullShard over the whole matrix,
// and further micro-batches, each reduced or not.
#include <doctest/doctest.h>

#include "full.hpp"
#include "full_sharded.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace full_sharded;

namespace {
TEST_CASE("FullShard: laws 2, 5 and 7, the whole matrix [full]") { check_matrix<FullShard>(); }
TEST_CASE("FullShardKeepForward: laws 2, 5 and 7, the whole matrix [full]") {
  check_matrix<FullShardKeepForward>();
}

TEST_CASE("FullShard: GradAccum<N, ReduceEach> has the bits of ShardGradients, further N [full]") {
  for (int ranks : law_rank_counts) {
    CAPTURE(ranks);
    check_each_like_zero_2<3, FullShardKeepForward>(ranks);
  }
  check_each_like_zero_2<2, FullShard, FullShardKeepForward>(3);
}
TEST_CASE("FullShard: GradAccum<1, ReduceEach> is GradAccum<1> [full]") {
  const Setup setup{.ranks = 3, .steps = 5};
  CHECK(same_bits(train_sharded<RunOf<FullShard, 1, ReduceEach>, Case>(setup)[0],
                  train_sharded<RunOf<FullShard>, Case>(setup)[0]));
}

TEST_CASE("FullShard: every rank makes the planned calls, three micro-batches [full]") {
  for (int ranks : {1, 2, 3, 5}) {
    check_tape<RunOf<FullShard, 3>, Case>(ranks);
    check_tape<RunOf<FullShardKeepForward, 3>, Case>(ranks);
  }
}
static_assert(sends_what_it_says<2>(4));

TEST_CASE("FullShard: the heap is the planned peak, one micro-batch and three [full]") {
  for (int ranks : {1, 2, 3, 5, 8}) {
    check_heap<RunOf<FullShard>, Case>(ranks);
    check_heap<RunOf<FullShard, 3>, Case>(ranks);
    check_heap<RunOf<FullShardKeepForward, 3>, Case>(ranks);
    check_heap<ShardedRun<zoo::TiedGptCase, FullShard>, zoo::TiedGptCase>(ranks);
    check_heap<ShardedRun<zoo::PartlyFrozenCase, FullShardKeepForward, 2>, zoo::PartlyFrozenCase>(
        ranks);
  }
}

TEST_CASE("FullShard: a rank's own state is 1/N of Replicate's, every model [full]") {
  for_each_sharded_case([]<class C>() { check_own_state<C>(); });
}

TEST_CASE("FullShard: delays change no bit, one micro-batch and three [full]") {
  for (int ranks : {2, 3}) check_delays<RunOf<FullShardKeepForward, 3>, Case>(ranks, 1);
  check_delays<ShardedRun<zoo::TiedGptCase, FullShard>, zoo::TiedGptCase>(4, 2);
}
}  // namespace
