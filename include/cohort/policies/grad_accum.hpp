// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/grad_accum.hpp: accumulate N micro-batches before one update.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cohort/core/refused.hpp>

namespace cohort {

/// What GradAccum asks of its number.
template <int N>
concept AtLeastOneMicroBatch = (N >= 1);

/// Modes of accumulation. KeepUnsharded: gradients stay whole until the last micro-batch (least
/// traffic). ReduceEach: every micro-batch is reduce-scattered and its shard added up (least memory);
/// for strategies that shard gradients only.
struct KeepUnsharded {};
struct ReduceEach {};

namespace detail {
template <int N> struct NoMicroBatch {
  static void say() {
    static_assert(
        AtLeastOneMicroBatch<N>,
        "cohort: GradAccum<N> needs at least one micro-batch. Write GradAccum<1>, or leave "
        "it out. [cohort/policies/grad_accum.hpp]");
  }
};
}  // namespace detail

/// Chosen only when N is below one: says so in one sentence, then stops.
template <int N, class Mode = KeepUnsharded> struct GradAccum : GradAccum<1, Mode> {
  static_assert(detail::said<detail::NoMicroBatch<N>>());
};

/// Cuts a step's batch by samples into N micro-batches; one communication and one update follow
/// them.
///
/// Shapes   the gradient of all parameters stays unsharded and accumulates in place.
/// Units    gradients are sums over samples; the division by the global weight happens once, in the
///          optimizer.
/// Comm     none for micro-batches 0 .. N-2, then what DataParallel does. Bytes a step: unchanged
///          (FullShard gathers parameters in each). ReduceEach: what DataParallel does, N times.
/// Cost     activation memory of one micro-batch instead of the whole batch.
/// Errors   compile time: N < 1 (AtLeastOneMicroBatch). Before step 0: batch not divisible by N.
/// Laws     GradAccum<N> over a batch == GradAccum<1> over the same batch, up to rounding
///          (tests/policies/grad_accum_test.cpp).
/// Source   Li et al. 2020, arXiv:2006.15704, section 3.2.4 (no_sync).
template <int N, class Mode>
requires AtLeastOneMicroBatch<N>
struct GradAccum<N, Mode> {
  using slot = slots::accumulation;
  static constexpr int micro_batches = N;
  static constexpr bool reduces_each = std::is_same_v<Mode, ReduceEach>;
};

static_assert(Policy<GradAccum<4>>);

}  // namespace cohort
