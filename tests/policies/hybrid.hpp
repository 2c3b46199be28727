// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/hybrid.hpp: what the tests of HybridShard share in both tiers.
#pragma once
#include <atomic>

#include "sharding.hpp"

namespace cohort::test::hybrid {

using Case = zoo::NestedRepeatCase;
template <int S, int N = 1, class Mode = KeepUnsharded>
using RunOf = ShardedRun<Case, HybridShard<S>, N, Mode>;
template <int S, int N = 1, class Mode = KeepUnsharded>
using PlanOf = typename RunOf<S, N, Mode>::plan_type;

template <int S> void check_refused(int ranks) {
  CAPTURE(ranks);
  std::atomic<int> refused{0};
  const auto form = [&](Threads& world) {
    try {
      RunOf<S>::on(world, {.batch = 6, .tokens = 2});
    } catch (const InvalidInput& e) {
      refused += std::string(e.what()).find("do not fill a world of") != std::string::npos;
      throw;
    }
  };
  CHECK_THROWS_AS(launch<Threads>({.ranks = ranks}, form), InvalidInput);
  CHECK(refused == ranks);
}

}  // namespace cohort::test::hybrid
