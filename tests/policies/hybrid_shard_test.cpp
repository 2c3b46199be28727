// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/hybrid_shard_test.cpp: FullShard inside groups, copies across: Replicate's bits where S
// is a power of two; what is planned is what is called and taken.
#include <cohort/policies/hybrid_shard.hpp>

#include <doctest/doctest.h>

#include <atomic>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<HybridShard<2>> && Policy<DataParallel<HybridShard<2>>>);

namespace {

using Case = zoo::NestedRepeatCase;
template <int S, int N = 1, class Mode = KeepUnsharded>
using RunOf = ShardedRun<Case, HybridShard<S>, N, Mode>;
template <int S, int N = 1, class Mode = KeepUnsharded>
using PlanOf = typename RunOf<S, N, Mode>::plan_type;

// ---------------------------------------------------------------- law 2

TEST_CASE(
    "HybridShard: the bits of Replicate after 20 steps, a diagonal of models, ranks, "
    "micro-batches") {
  check_law_2_diagonal<HybridShard<2>>();
  for (int ranks : {4, 8, 16})
    check_like_replicate<Case, HybridShard<4>, 1>(ranks, {StreamMode::worker});
  for (int ranks : {4, 12})
    check_like_replicate<zoo::TiedGptCase, HybridShard<4>, 2>(ranks,
                                                              {StreamMode::on_compute_thread});
}

// Three ranks' sum is not a branch of the tree that sums nine: equal within rounding only.
TEST_CASE("HybridShard: groups of three have the right gradient, and equal bits on every rank") {
  for (int ranks : {3, 6, 9, 12}) {
    check_gradient<RunOf<3>, Case, 1>(ranks);
    check_gradient<RunOf<3, 3>, Case, 3>(ranks);
  }
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
  for (int n : {1, 3}) {
    const Setup setup{.ranks = 4, .steps = 5};
    const auto hybrid =
        n == 1 ? train_sharded<RunOf<4>, Case>(setup) : train_sharded<RunOf<4, 3>, Case>(setup);
    const auto full = n == 1 ? train_sharded<ShardedRun<Case, FullShard>, Case>(setup)
                             : train_sharded<ShardedRun<Case, FullShard, 3>, Case>(setup);
    CHECK(all_same(hybrid, full[0]));
  }
}

// ---------------------------------------------------------------- law 5

TEST_CASE("HybridShard: every rank makes the planned calls, inside and across, and no other") {
  for (int ranks : {2, 4, 6}) {
    check_tape<RunOf<2>, Case>(ranks);
    check_tape<RunOf<2, 3>, Case>(ranks);
    check_tape<RunOf<2, 3, ReduceEach>, Case>(ranks);
  }
  for (int ranks : {3, 9}) check_tape<RunOf<3>, Case>(ranks);
  using Frozen = zoo::PartlyFrozenCase;
  check_tape<ShardedRun<Frozen, HybridShard<2>, 2>, Frozen>(4);
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
  for (int ranks : {2, 4, 6}) {
    check_heap<RunOf<2>, Case>(ranks);
    check_heap<RunOf<2, 3>, Case>(ranks);
  }
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
  check_late_updates<Case, HybridShard<2>, 1>(4);
}

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
TEST_CASE("HybridShard: a world that S does not divide is refused on every rank") {
  check_refused<2>(1);
  check_refused<2>(3);
  check_refused<3>(4);
  check_refused<4>(6);
}

}  // namespace
