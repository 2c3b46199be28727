// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/check_sync_full_test.cpp: check_sync of a larger model, under every strategy and in 16-bit types.
#include <doctest/doctest.h>

#include "in_sync.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace in_sync;

namespace {

using Case = zoo::PartlyFrozenCase;

TEST_CASE("check_sync: every strategy stays in sync, a larger model [full]") {
  for (int ranks : {1, 2, 3, 4}) {
    stays_in_sync<Case, Replicate>(ranks, ranks);
    stays_in_sync<Case, ShardOptimizer>(ranks, ranks);
    stays_in_sync<Case, ShardGradients, Mixed>(ranks, ranks);
    stays_in_sync<Case, FullShard>(ranks, 1);
  }
  stays_in_sync<Case, Replicate, Mixed>(3, 3);
  stays_in_sync<Case, FullShardKeepForward>(2, 1);
  stays_in_sync<Case, HybridShard<2>, Mixed>(2, 1);
  stays_in_sync<Case, HybridShard<2>>(4, 2);
}

TEST_CASE("check_sync: what is compared, by strategy, a larger model [full]") {
  constexpr auto count = [](bool trains) {
    int n = 0;
    for (const ParamInfo& p : SyncRun<Case, Replicate>::plan.layout.params) n += p.trains == trains;
    return n;
  };
  constexpr int trained = count(true), frozen = count(false);
  const auto tensors = []<class How, class... More>(int ranks) {
    return parted<SyncRun<Case, How, More...>, Case>(ranks, nothing).reports[0].tensors;
  };
  CHECK(tensors.operator()<Replicate>(2) == 3 * trained + frozen);  // and two moments
  CHECK(tensors.operator()<Replicate, Mixed>(2) == 4 * trained + frozen);
  CHECK(tensors.operator()<ShardOptimizer>(2) == trained + frozen);
  CHECK(tensors.operator()<ShardGradients, Mixed>(3) == trained + frozen);
  CHECK(tensors.operator()<HybridShard<2>, Mixed>(4) == 3 * trained + frozen);
  CHECK(tensors.operator()<HybridShard<2>>(4) == 3 * trained + frozen);
}

TEST_CASE("check_sync: exactly what was changed, with masters and without, a larger model [full]") {
  finds_what_was_changed<Case, Replicate>(3, 2);
  finds_what_was_changed<Case, Replicate, Mixed>(3, 0);
  finds_what_was_changed<Case, ShardOptimizer>(4, 1);
  finds_what_was_changed<Case, ShardOptimizer, Mixed>(3, 1);
  finds_what_was_changed<Case, ShardGradients>(3, 2);
}

TEST_CASE("check_sync: a moment, a master, a frozen parameter, a larger model [full]") {
  CHECK(found<Case, Replicate>(3, moment(0)) == "exp_avg 5.weight 2 1 4");
  CHECK(found<Case, Replicate>(3, moment(1)) == "exp_avg_sq 5.weight 2 1 4");
  CHECK(found<Case, Replicate, Mixed>(3, moment(-1)) == "master 5.weight 2 1 4");
  const auto frozen = [](auto& run, int rank) {
    if (rank == 1) damage_parameter(run, "0.weight", 65);
  };
  CHECK(found<Case, Replicate>(3, frozen) == "parameter 0.weight 1 1 65");
  CHECK(found<Case, ShardGradients, Mixed>(3, frozen) == "parameter 0.weight 1 1 65");
}

TEST_CASE("check_sync: padding is nobody's, a larger model [full]") {
  CHECK(parted<SyncRun<Case, Replicate>, Case>(2, padding).reports[1].in_sync());
  CHECK(parted<SyncRun<Case, ShardOptimizer, Mixed>, Case>(3, padding).reports[1].in_sync());
}

}  // namespace
