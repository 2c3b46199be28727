// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/hybrid_shard_full_test.cpp: laws 2, 5 and 7 of HybridShard over the whole matrix; groups
// of three within rounding.
#include <doctest/doctest.h>

#include "full.hpp"

using namespace cohort;
using namespace cohort::test;

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
}  // namespace
