// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/hybrid_shard_full_test.cpp: laws 2, 5 and 7 of HybridShard over the whole matrix; groups
// of three within rounding; further groups and micro-batches.
#include <doctest/doctest.h>

#include "full.hpp"
#include "hybrid.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace hybrid;

namespace {
TEST_CASE("HybridShard<2>: laws 2, 5 and 7, the whole matrix [full]") {
  check_matrix<HybridShard<2>>();
}
TEST_CASE("HybridShard<4>: laws 2, 5 and 7, the whole matrix [full]") {
  check_matrix<HybridShard<4>>();
}

// Three ranks' sum is no branch of the tree that sums six or nine: equal within rounding, as
// check_gradient derives it, and with equal bits on every rank. In one group it is FullShard's.
TEST_CASE("HybridShard<3>: the right gradient, and equal bits on every rank, every model [full]") {
  for_each_sharded_case([]<class Case>() {
    INFO(Case::name());
    constexpr int N = fast_micro_batches<Case>;
    using Run = ShardedRun<Case, HybridShard<3>, N>;
    for (int ranks : {3, 6, 9, 12, 15}) {
      CAPTURE(ranks);
      check_gradient<Run, Case, N>(ranks);
      const Setup setup{.ranks = ranks, .steps = 20};
      const auto all = train_sharded<Run, Case>(setup);
      CHECK(all_same(all, all[0]));
      if (ranks == 3) CHECK(all_same(all, train_replicated<Case, N>(setup)));
    }
  });
}

TEST_CASE("HybridShard: groups of four, and of three in three micro-batches [full]") {
  for (int ranks : {4, 12})
    check_like_replicate<zoo::TiedGptCase, HybridShard<4>, 2>(ranks,
                                                              {StreamMode::on_compute_thread});
  for (int ranks : {3, 6, 9, 12}) check_gradient<RunOf<3, 3>, Case, 3>(ranks);
}
TEST_CASE("HybridShard: one group of all ranks is FullShard, three micro-batches [full]") {
  const Setup setup{.ranks = 4, .steps = 5};
  const auto full = train_sharded<ShardedRun<Case, FullShard, 3>, Case>(setup);
  CHECK(all_same(train_sharded<RunOf<4, 3>, Case>(setup), full[0]));
}
TEST_CASE("HybridShard: calls and heap are as planned, three micro-batches [full]") {
  for (int ranks : {2, 4, 6}) {
    check_tape<RunOf<2, 3>, Case>(ranks);
    check_heap<RunOf<2, 3>, Case>(ranks);
  }
  using Frozen = zoo::PartlyFrozenCase;
  check_tape<ShardedRun<Frozen, HybridShard<2>, 2>, Frozen>(4);
}
TEST_CASE("HybridShard: a late update on any rank changes no bit [full]") {
  check_late_updates<Case, HybridShard<2>, 1>(4);
}
TEST_CASE("HybridShard: a world that S does not divide is refused, further S [full]") {
  check_refused<3>(4);
  check_refused<4>(6);
}
}  // namespace
