// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/shard_optimizer_test.cpp: ZeRO-1: Replicate's bits; what is planned is what is called
// and taken.
#include <cohort/policies/shard_optimizer.hpp>

#include <doctest/doctest.h>

#include "compiled_once.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<ShardOptimizer> && Policy<DataParallel<ShardOptimizer>>);

namespace {

using Case = zoo::NestedRepeatCase;
template <int N> using RunOf = ShardedRun<Case, ShardOptimizer, N>;
template <int N> using PlanOf = typename RunOf<N>::plan_type;

TEST_CASE(
    "ShardOptimizer: the bits of Replicate after 20 steps, a sample of models, all numbers of "
    "ranks") {
  check_law_2_sample<ShardOptimizer, Case, zoo::OddMlpCase>();
}

TEST_CASE("ShardOptimizer: every rank makes the planned calls, and no other") {
  for (int ranks : {1, 2, 3, 5}) {
    check_tape<RunOf<1>, Case>(ranks);
    check_tape<RunOf<3>, Case>(ranks);
  }
}

/// 2P (N-1)/N whatever the number of micro-batches, as Replicate.
template <int N> constexpr bool sends_twice(int ranks) {
  const ShardBytes<PlanOf<N>> p(ranks);
  return PlanOf<N>::wire_bytes({.ranks = ranks, .batch = 6}) ==
         p.peers * 2 * (p.root + p.others) + small_bytes(ranks, ranks);
}
static_assert(sends_twice<1>(1) && sends_twice<1>(2) && sends_twice<3>(3) && sends_twice<3>(512));

TEST_CASE("ShardOptimizer: Replicate sends as much, but for its norm and the padding of groups") {
  using Whole = typename ShardedRun<Case, Replicate>::plan_type;
  for (int ranks : {2, 4, 8}) {  // divide every bucket: no share is rounded
    const auto n = static_cast<std::size_t>(ranks);
    std::size_t padding = 0;
    for (int g = 0; g < Whole::groups.count; ++g)
      padding += Whole::shards.padded(g, ranks) - Whole::shards.size[static_cast<std::size_t>(g)];
    const std::size_t norm = small_bytes(ranks, ranks) - small_bytes(ranks, 1);
    CHECK(PlanOf<1>::wire_bytes({.ranks = ranks}) ==
          Whole::wire_bytes({.ranks = ranks}) + 2 * padding * sizeof(float) / n * (n - 1) + norm);
  }
}

TEST_CASE(
    "ShardOptimizer: the heap that a run takes is the planned peak, to the byte; steps take none") {
  for (int ranks : {1, 2, 3, 5, 8}) check_heap<RunOf<3>, Case>(ranks);
  check_steps_allocate_nothing<RunOf<3>, Case>(3);
  static_assert(PlanOf<3>::memory({.ranks = 4, .batch = 6}).gathered == 0);
}

TEST_CASE("ShardOptimizer: a delay of any reduction or gather on any rank changes no bit") {
  for (int ranks : {2, 3}) check_delays<RunOf<3>, Case>(ranks, 2);
}

}  // namespace
