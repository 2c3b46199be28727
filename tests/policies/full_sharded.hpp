// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/full_sharded.hpp: what the tests of FullShard share in both tiers.
#pragma once
#include "sharding.hpp"

namespace cohort::test::full_sharded {

using Case = zoo::NestedRepeatCase;
template <class How, int N = 1, class Mode = KeepUnsharded>
using RunOf = ShardedRun<Case, How, N, Mode>;
template <class How, int N = 1, class Mode = KeepUnsharded>
using PlanOf = typename RunOf<How, N, Mode>::plan_type;

/// Where each of N micro-batches is reduced, these have the bits of ShardGradients.
template <int N, class... Hows> void check_each_like_zero_2(int ranks) {
  for (StreamMode stream : both_streams) {
    const Setup setup{.ranks = ranks, .steps = 20, .stream = stream};
    const auto expected = train_sharded<RunOf<ShardGradients, N, ReduceEach>, Case>(setup);
    CHECK(all_same(expected, expected[0]));
    const auto like = [&]<class How>(std::type_identity<How>) {
      CHECK(all_same(train_sharded<RunOf<How, N, ReduceEach>, Case>(setup), expected[0]));
    };
    (like(std::type_identity<Hows>{}), ...);
  }
}

/// 3P for one micro-batch, (2m + 1)P for m, 3mP when each is reduced; of the root, which is gathered
/// once a step, 2P, 2P and (m + 1)P. P (N-1)/N are the shards of the N - 1 others.
template <int M> constexpr bool sends_what_it_says(int ranks) {
  const ShardBytes<PlanOf<FullShard>> p(ranks);
  const Sizes sizes{.ranks = ranks, .batch = 6, .tokens = 2};
  const std::size_t m = M, rest = small_bytes(ranks, ranks);
  return PlanOf<FullShard, M>::wire_bytes(sizes) ==
             p.peers * ((2 * m + 1) * p.others + 2 * p.root) + rest &&
         PlanOf<FullShard, M, ReduceEach>::wire_bytes(sizes) ==
             p.peers * (3 * m * p.others + (m + 1) * p.root) + rest &&
         PlanOf<FullShardKeepForward, M>::wire_bytes(sizes) ==
             p.peers * 2 * (p.others + p.root) + rest;
}
/// A rank's own state is 1/N of Replicate's and the padding of its groups.
template <class C> void check_own_state() {
  INFO(C::name());
  using Full = typename ShardedRun<C, FullShard>::plan_type;
  using Whole = typename ShardedRun<C, Replicate>::plan_type;
  for (int ranks : {1, 2, 3, 4, 5, 7, 8, 16, 512}) {
    const auto n = static_cast<std::size_t>(ranks);
    const PersistentBytes one = Full::persistent_bytes(ranks), all = Whole::persistent_bytes(ranks);
    const auto padding_of = [&](const auto& ranges) {
      std::size_t sum = 0;
      for (int g = 0; g < Full::groups.count; ++g)
        sum += ranges.padded(g, ranks) - ranges.size[static_cast<std::size_t>(g)];
      return sum * sizeof(float);
    };
    const std::size_t padding = padding_of(Full::shards), frozen = padding_of(Full::shards.frozen);
    CHECK(padding < n * static_cast<std::size_t>(Full::groups.count) * chunk * sizeof(float));
    CHECK(one.parameters * n == all.parameters + padding + frozen);
    CHECK(one.gradients * n == all.gradients + padding);
    CHECK(one.optimizer * n == all.optimizer + 2 * padding);  // two moments
    // Whole beside it: of parameters and of gradients the root and two groups.
    CHECK(one.gathered ==
          sizeof(float) * (Full::shards.padded(0, ranks) + 2 * Full::shards.slot(ranks) +
                           Full::shards.whole(0, ranks) + 2 * Full::shards.whole_slot(ranks)));
  }
}

}  // namespace cohort::test::full_sharded
