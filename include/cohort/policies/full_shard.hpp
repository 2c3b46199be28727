// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/full_shard.hpp: ZeRO-3 / FSDP: everything in shards; a group is whole only while it computes.
#pragma once
#include <cohort/policies/data_parallel.hpp>
#include <cohort/policies/sharded.hpp>

namespace cohort {

/// Parameters, gradients and optimizer state in shards.
///
/// Shapes   1/N of each, plus gathered parameters and gradients of the root group, and two slots of
///          each for the largest other group.
/// Comm     forward: the root is gathered at begin, group i+1 while group i computes. Backward: the
///          group before is gathered before this one's reduce-scatter is issued. The root is not
///          freed between. Bytes a step and rank: 3 (N-1)/N of the model, (2m+1) with m micro-batches,
///          3m with GradAccum<m, ReduceEach>.
/// Cost     fp32 Adam: 16/N bytes a parameter and the slots.
/// Errors   compile time: a root group only, unless Groups<One> says so.
/// Laws     the same bits as Replicate (tests/policies/full_shard_test.cpp, full_shard_full_test.cpp).
/// Source   Zhao et al. 2023, arXiv:2304.11277; PyTorch fully_shard.
struct FullShard : detail::Sharding<true, true> {
  static constexpr int shard_ranks = 0;
  template <class Plan, class Comm> using Storage = detail::ShardedStorage<Plan, Comm>;
};

/// FullShard that keeps gathered parameters from forward to backward (reshard_after_forward = false):
/// 2 (N-1)/N of the model on the wire, and whole parameters in memory during a step.
struct FullShardKeepForward : detail::Sharding<true, true, false> {
  static constexpr int shard_ranks = 0;
  template <class Plan, class Comm> using Storage = detail::ShardedStorage<Plan, Comm>;
};

static_assert(Policy<DataParallel<FullShard>> && Policy<DataParallel<FullShardKeepForward>>);

}  // namespace cohort
