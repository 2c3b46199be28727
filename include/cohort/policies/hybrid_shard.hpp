// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/hybrid_shard.hpp: FullShard inside groups of S ranks, replicated across the groups.
#pragma once
#include <cohort/policies/full_shard.hpp>

namespace cohort {

/// What HybridShard asks of its number.
template <int S>
concept AtLeastTwoRanks = (S >= 2);

namespace detail {
template <int S> struct GroupsOfOne {
  static void say() {
    static_assert(
        AtLeastTwoRanks<S>,
        "cohort: HybridShard<S> shards over groups of at least two ranks. Write HybridShard<2> "
        "or more, or Replicate. [cohort/policies/hybrid_shard.hpp]");
  }
};
}  // namespace detail

/// Chosen only when S is below two: says so in one sentence, then stops.
template <int S> struct HybridShard : detail::Sharding<true, true> {
  static_assert(detail::said<detail::GroupsOfOne<S>>());
  static constexpr int shard_ranks = 2;
  template <class Plan, class Comm> using Storage = detail::ShardedStorage<Plan, Comm>;
};

/// Shards over S neighbouring ranks (one host, say); the N / S copies sum their shards' gradients.
///
/// Comm     FullShard's inside the group; on the last micro-batch one all-reduce a group of parameters
///          across the copies, of 1/S of its gradient.
/// Errors   compile time: S < 2. Before step 0: S does not divide the number of ranks.
/// Laws     the same bits as Replicate for S a power of two and reductions in fp32, else within rounding
///          (tests/policies/hybrid_shard_test.cpp, hybrid_shard_full_test.cpp).
/// Source   Zhao et al. 2023, arXiv:2304.11277, section 3.2.2.
template <int S>
requires AtLeastTwoRanks<S>
struct HybridShard<S> : detail::Sharding<true, true> {
  static constexpr int shard_ranks = S;
  template <class Plan, class Comm> using Storage = detail::ShardedStorage<Plan, Comm>;
};

static_assert(Policy<DataParallel<HybridShard<8>>>);

}  // namespace cohort
