// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/shard_gradients_test.cpp: ZeRO-2: Replicate's bits; what is planned is what is called
// and taken.
#include <cohort/policies/shard_gradients.hpp>

#include <doctest/doctest.h>

#include "compiled_once.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<ShardGradients> && Policy<DataParallel<ShardGradients>>);

namespace {

using Case = zoo::NestedRepeatCase;
template <int N, class Mode = KeepUnsharded>
using RunOf = ShardedRun<Case, ShardGradients, N, Mode>;
template <int N, class Mode = KeepUnsharded> using PlanOf = typename RunOf<N, Mode>::plan_type;

TEST_CASE(
    "ShardGradients: the bits of Replicate after 20 steps, a sample of models, all numbers of "
    "ranks") {
  check_law_2_sample<ShardGradients, Case, zoo::OddMlpCase>();
}

TEST_CASE("ShardGradients: GradAccum<3, ReduceEach> has the gradient of the whole batch") {
  for (int ranks : law_rank_counts) check_gradient<RunOf<3, ReduceEach>, Case, 3>(ranks);
}

TEST_CASE("ShardGradients: every rank makes the planned calls, and no other") {
  for (int ranks : {1, 2, 3, 5}) {
    check_tape<RunOf<1>, Case>(ranks);
    check_tape<RunOf<3, ReduceEach>, Case>(ranks);
  }
}

/// 2P (N-1)/N; where each of m micro-batches is reduced, (m + 1)P.
template <int M> constexpr bool sends_what_it_says(int ranks) {
  const ShardBytes<PlanOf<M>> p(ranks);
  const std::size_t shard = p.root + p.others, rest = small_bytes(ranks, ranks);
  return PlanOf<M>::wire_bytes({.ranks = ranks}) == p.peers * 2 * shard + rest &&
         PlanOf<M, ReduceEach>::wire_bytes({.ranks = ranks}) == p.peers * (M + 1) * shard + rest;
}
static_assert(sends_what_it_says<1>(1) && sends_what_it_says<1>(2) && sends_what_it_says<2>(3));
static_assert(sends_what_it_says<3>(7) && sends_what_it_says<3>(512));

TEST_CASE(
    "ShardGradients: the heap that a run takes is the planned peak, to the byte; steps take none") {
  for (int ranks : {1, 2, 3, 5, 8}) check_heap<RunOf<3, ReduceEach>, Case>(ranks);
  check_steps_allocate_nothing<RunOf<3, ReduceEach>, Case>(3);
}

TEST_CASE(
    "ShardGradients: whole gradients are kept between micro-batches, unless each is reduced") {
  constexpr int ranks = 4;
  constexpr auto& shards = PlanOf<1>::shards;
  constexpr std::size_t slots = (shards.padded(0, ranks) + 2 * shards.slot(ranks)) * sizeof(float);
  constexpr std::size_t whole = shards.shard(ranks) * ranks * sizeof(float);
  static_assert(PlanOf<1>::persistent_bytes(ranks).gathered == slots);
  static_assert(PlanOf<3, ReduceEach>::persistent_bytes(ranks).gathered == slots);
  static_assert(PlanOf<3>::persistent_bytes(ranks).gathered == whole);
  static_assert(PlanOf<3>::persistent_bytes(ranks).gradients == whole / ranks);
}

TEST_CASE("ShardGradients: a delay of any reduction or gather on any rank changes no bit") {
  for (int ranks : {2, 3}) {
    check_delays<RunOf<1>, Case>(ranks, 2);
    check_delays<RunOf<3, ReduceEach>, Case>(ranks, 2);
  }
}

}  // namespace
