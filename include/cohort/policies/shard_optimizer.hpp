// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/shard_optimizer.hpp: ZeRO-1: every rank updates its slice of the parameters.
#pragma once
#include <cohort/policies/data_parallel.hpp>
#include <cohort/policies/sharded.hpp>

namespace cohort {

/// Parameters and gradients on every rank, optimizer state in shards.
///
/// Shapes   parameters, gradients: whole, group after group; moments: 1/N of them, in whole chunks.
/// Comm     one reduce-scatter a group on the last micro-batch, overlapped with backward; after the
///          update one all-gather a group. Bytes a step and rank: 2 (N-1)/N of the model, as Replicate.
/// Cost     fp32 Adam: 8 + 8/N bytes a parameter.
/// Laws     the same bits as Replicate (tests/policies/shard_optimizer_test.cpp, zero_full_test.cpp).
/// Source   Rajbhandari et al. 2020, arXiv:1910.02054, P_os.
struct ShardOptimizer : detail::Sharding<false, false> {
  static constexpr int shard_ranks = 0;
  template <class Plan, class Comm> using Storage = detail::ShardedStorage<Plan, Comm>;
};

static_assert(Policy<DataParallel<ShardOptimizer>>);

}  // namespace cohort
