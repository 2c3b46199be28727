// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/shard_gradients.hpp: ZeRO-2: gradients leave for their owner as backward goes.
#pragma once
#include <cohort/policies/data_parallel.hpp>
#include <cohort/policies/sharded.hpp>

namespace cohort {

/// Parameters on every rank; gradients and optimizer state in shards.
///
/// Shapes   parameters whole, gradients 1/N, plus the root group's and two slots of the largest other group.
/// Comm     one reduce-scatter a group, overlapped with backward; after the update one all-gather a
///          group. Bytes a step and rank: 2 (N-1)/N of the model; with GradAccum<N, ReduceEach> each
///          micro-batch reduces.
/// Cost     fp32 Adam: 4 + 12/N bytes a parameter. GradAccum<N> in its default mode keeps whole
///          gradients between micro-batches: 4 more.
/// Laws     the same bits as Replicate (tests/policies/shard_gradients_test.cpp, zero_full_test.cpp).
/// Source   Rajbhandari et al. 2020, arXiv:1910.02054, P_os+g.
struct ShardGradients : detail::Sharding<true, false> {
  static constexpr int shard_ranks = 0;
  template <class Plan, class Comm> using Storage = detail::ShardedStorage<Plan, Comm>;
};

static_assert(Policy<DataParallel<ShardGradients>>);

}  // namespace cohort
