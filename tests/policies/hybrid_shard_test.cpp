// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/hybrid_shard_test.cpp: FullShard inside groups, copies across: Replicate's bits where S
// is a power of two; what is planned is what is called and taken.
#include <cohort/policies/hybrid_shard.hpp>

#include <doctest/doctest.h>

#include "compiled_once.hpp"
#include "hybrid.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<HybridShard<2>> && Policy<DataParallel<HybridShard<2>>>);

namespace {

using namespace hybrid;

// ---------------------------------------------------------------- law 2

TEST_CASE(
    "HybridShard: the bits of Replicate after 20 steps, a sample of models, all numbers of "
    "ranks") {
  check_law_2_sample<HybridShard<2>, Case, zoo::OddMlpCase>();
  for (int ranks : {4, 8, 16})
    check_like_replicate<Case, HybridShard<4>, 1>(ranks, {StreamMode::worker});
}

// Three ranks' sum is not a branch of the tree that sums nine: equal within rounding only.
TEST_CASE("HybridShard: groups of three have the right gradient, and equal bits on every rank") {
  for (int ranks : {3, 6, 9, 12}) check_gradient<RunOf<3>, Case, 1>(ranks);
  const auto all = train_sharded<RunOf<3>, Case>({.ranks = 6, .steps = 20});
  CHECK(all_same(all, all[0]));
}

// Partial sums of micro-batches are added before the copies are: another order than FullShard's.
TEST_CASE(
    "HybridShard: reduce-scatter each and all-reduce last has the right gradient, on every rank") {
  for (int ranks : {2, 4, 6, 8}) check_gradient<RunOf<2, 3, ReduceEach>, Case, 3>(ranks);
  const auto all = train_sharded<RunOf<2, 3, ReduceEach>, Case>({.ranks = 4, .steps = 20});
  CHECK(all_same(all, all[0]));
}

TEST_CASE("HybridShard: one group of all ranks is FullShard") {
  const Setup setup{.ranks = 4, .steps = 5};
  const auto full = train_sharded<ShardedRun<Case, FullShard>, Case>(setup);
  CHECK(all_same(train_sharded<RunOf<4>, Case>(setup), full[0]));
}

// ---------------------------------------------------------------- law 5

TEST_CASE("HybridShard: every rank makes the planned calls, inside and across, and no other") {
  for (int ranks : {2, 4, 6}) {
    check_tape<RunOf<2>, Case>(ranks);
    check_tape<RunOf<2, 3, ReduceEach>, Case>(ranks);
  }
  for (int ranks : {3, 9}) check_tape<RunOf<3>, Case>(ranks);
}

/// FullShard's 3P inside groups of S, of the root 2P; across the N / S copies 2P / S, once a step.
template <int S, int M> constexpr bool sends_what_it_says(int copies) {
  const ShardBytes<PlanOf<S, M>> p(S);
  const std::size_t m = M, k = static_cast<std::size_t>(copies), rest = small_bytes(S * copies, S);
  std::size_t across = 0;  // group by group: each share is whole bytes
  for (int g = 0; g < PlanOf<S, M>::groups.count; ++g)
    across += 2 * (PlanOf<S, M>::shards.per_rank(g, S) * sizeof(float) * (k - 1) / k);
  const std::size_t exact = 2 * (p.root + p.others) * (k - 1) / k;
  return across <= exact && exact - across < 2 * PlanOf<S, M>::groups.count &&
         PlanOf<S, M>::wire_bytes({.ranks = S * copies}) ==
             p.peers * ((2 * m + 1) * p.others + 2 * p.root) + across + rest &&
         PlanOf<S, M, ReduceEach>::wire_bytes({.ranks = S * copies}) ==
             p.peers * (3 * m * p.others + (m + 1) * p.root) + across + rest;
}
static_assert(sends_what_it_says<2, 1>(1) && sends_what_it_says<2, 1>(4) &&
              sends_what_it_says<8, 1>(64));
static_assert(sends_what_it_says<2, 3>(3) && sends_what_it_says<3, 3>(5));

TEST_CASE(
    "HybridShard: the heap that a run takes is the planned peak and its channels; steps take "
    "none") {
  for (int ranks : {2, 4, 6}) check_heap<RunOf<2>, Case>(ranks);
  check_steps_allocate_nothing<RunOf<2, 3, ReduceEach>, Case>(4);
}

TEST_CASE("HybridShard: state depends on S, not on the number of copies") {
  using Full = typename ShardedRun<Case, FullShard>::plan_type;
  for (int ranks : {4, 8, 512}) {
    CHECK(PlanOf<4>::peak_bytes({.ranks = ranks, .batch = 6}) ==
          Full::peak_bytes({.ranks = 4, .batch = 6}));
  }
}

// ---------------------------------------------------------------- law 7, errors

TEST_CASE("HybridShard: a delay of any call on any axis and rank changes no bit") {
  check_delays<RunOf<2>, Case>(4, 2);
  check_delays<RunOf<2, 3, ReduceEach>, Case>(4, 2);
  check_delays<RunOf<3>, Case>(6, 1);
}

TEST_CASE("HybridShard: a world that S does not divide is refused on every rank") {
  check_refused<2>(1);
  check_refused<2>(3);
}

}  // namespace
