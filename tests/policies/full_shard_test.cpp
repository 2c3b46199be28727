// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/full_shard_test.cpp: FSDP: Replicate's bits, FSDP2's order, and bytes as planned.
#include <cohort/policies/full_shard.hpp>

#include <doctest/doctest.h>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<FullShard> && Policy<DataParallel<FullShard>>);

namespace {

using Case = zoo::NestedRepeatCase;
using FrozenCase = zoo::PartlyFrozenCase;
template <class How, int N = 1, class Mode = KeepUnsharded>
using RunOf = ShardedRun<Case, How, N, Mode>;
template <class How, int N = 1, class Mode = KeepUnsharded>
using PlanOf = typename RunOf<How, N, Mode>::plan_type;

// ---------------------------------------------------------------- law 2

TEST_CASE(
    "FullShard: the bits of Replicate after 20 steps, a diagonal of models, ranks and "
    "micro-batches") {
  check_law_2_diagonal<FullShard>();
}
TEST_CASE("FullShardKeepForward: the bits of Replicate after 20 steps, a diagonal") {
  check_law_2_diagonal<FullShardKeepForward>();
}

template <int N> void check_each_like_zero_2(int ranks) {
  for (StreamMode stream : both_streams) {
    const Setup setup{.ranks = ranks, .steps = 20, .stream = stream};
    const auto full = train_sharded<RunOf<FullShard, N, ReduceEach>, Case>(setup);
    const auto kept = train_sharded<RunOf<FullShardKeepForward, N, ReduceEach>, Case>(setup);
    const auto expected = train_sharded<RunOf<ShardGradients, N, ReduceEach>, Case>(setup);
    CHECK(all_same(full, expected[0]));
    CHECK(all_same(kept, expected[0]));
    CHECK(all_same(expected, expected[0]));
  }
}
TEST_CASE(
    "FullShard: GradAccum<N, ReduceEach> has the bits of ShardGradients, and the right gradient") {
  for (int ranks : law_rank_counts) {
    CAPTURE(ranks);
    check_each_like_zero_2<3>(ranks);
    check_gradient<RunOf<FullShard, 3, ReduceEach>, Case, 3>(ranks);
  }
  check_each_like_zero_2<2>(3);
}
TEST_CASE("FullShard: GradAccum<1, ReduceEach> is GradAccum<1>") {
  const Setup setup{.ranks = 3, .steps = 5};
  CHECK(same_bits(train_sharded<RunOf<FullShard, 1, ReduceEach>, Case>(setup)[0],
                  train_sharded<RunOf<FullShard>, Case>(setup)[0]));
}

// ---------------------------------------------------------------- FSDP2's order

/// "U(root) U(0) ... | PB(2) ...": gathers are unshards, reduce-scatters are post-backwards; the bar is
/// the end of forward. Groups are numbered as FSDP2 numbers its layers.
template <class Plan, MicroBatch M> std::string order() {
  std::string text;
  bool backward = false;
  for (const Op& op : Plan::template program<M>) {
    if (!backward && op.after >= Plan::markers::forward_ended) text += "| ", backward = true;
    if (op.kind != OpKind::all_gather && op.kind != OpKind::reduce_scatter) continue;
    text += op.kind == OpKind::all_gather ? "U(" : "PB(";
    text += (op.id == 0 ? std::string("root") : std::to_string(op.id - 1)) + ") ";
  }
  return text;
}
using Layers = nn::Sequential<nn::Linear<4, 4>, nn::Repeat<3, nn::Linear<4, 4>>, nn::Linear<4, 3>>;
template <class How, class... Ps>
using Three = typename Trainer<Layers, nn::CrossEntropy, DataParallel<How>, Ps...>::plan_type;

TEST_CASE("FullShard: three layers are gathered and reduced in the order of FSDP2's golden trace") {
  constexpr auto only = MicroBatch::only;
  CHECK(order<Three<FullShard>, only>() ==
        "U(root) U(0) U(1) U(2) | U(2) U(1) PB(2) U(0) PB(1) PB(0) PB(root) ");
  CHECK(order<Three<HybridShard<2>>, only>() ==
        "U(root) U(0) U(1) U(2) | U(2) U(1) PB(2) U(0) PB(1) PB(0) PB(root) ");
  CHECK(order<Three<FullShardKeepForward>, only>() ==
        "U(root) U(0) U(1) U(2) | PB(2) PB(1) PB(0) PB(root) ");
}

TEST_CASE(
    "FullShard: between micro-batches the root stays; gradients leave at the end, or after each") {
  using Keep = Three<FullShard, GradAccum<2>>;
  CHECK(order<Keep, MicroBatch::first>() == "U(root) U(0) U(1) U(2) | U(2) U(1) U(0) ");
  CHECK(order<Keep, MicroBatch::last>() ==
        "U(0) U(1) U(2) | U(2) U(1) PB(2) U(0) PB(1) PB(0) PB(root) ");
  using Reduce = Three<FullShard, GradAccum<2, ReduceEach>>;
  CHECK(order<Reduce, MicroBatch::first>() ==
        "U(root) U(0) U(1) U(2) | U(2) U(1) PB(2) U(0) PB(1) PB(0) PB(root) ");
}

// ---------------------------------------------------------------- law 5

TEST_CASE("FullShard: every rank makes the planned calls, and no other") {
  for (int ranks : {1, 2, 3, 5}) {
    check_tape<RunOf<FullShard>, Case>(ranks);
    check_tape<RunOf<FullShard, 3>, Case>(ranks);
    check_tape<RunOf<FullShard, 3, ReduceEach>, Case>(ranks);
    check_tape<RunOf<FullShardKeepForward, 3>, Case>(ranks);
    check_tape<ShardedRun<FrozenCase, FullShard, 2>, FrozenCase>(ranks);
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
static_assert(sends_what_it_says<1>(2) && sends_what_it_says<1>(3) && sends_what_it_says<1>(512));
static_assert(sends_what_it_says<2>(4) && sends_what_it_says<3>(7) && sends_what_it_says<3>(64));

TEST_CASE(
    "FullShard: the heap that a run takes is the planned peak, to the byte; steps take none") {
  for (int ranks : {1, 2, 3, 5, 8}) {
    check_heap<RunOf<FullShard>, Case>(ranks);
    check_heap<RunOf<FullShard, 3>, Case>(ranks);
    check_heap<RunOf<FullShard, 3, ReduceEach>, Case>(ranks);
    check_heap<RunOf<FullShardKeepForward, 3>, Case>(ranks);
    check_heap<ShardedRun<zoo::TiedGptCase, FullShard>, zoo::TiedGptCase>(ranks);
    check_heap<ShardedRun<FrozenCase, FullShard, 2>, FrozenCase>(ranks);
    check_heap<ShardedRun<FrozenCase, FullShardKeepForward, 2>, FrozenCase>(ranks);
  }
  check_steps_allocate_nothing<RunOf<FullShard, 3, ReduceEach>, Case>(3);
}

TEST_CASE("FullShard: a rank's own state is 1/N of Replicate's and the padding of its groups") {
  for_each_sharded_case([]<class C>() {
    INFO(C::name());
    using Full = typename ShardedRun<C, FullShard>::plan_type;
    using Whole = typename ShardedRun<C, Replicate>::plan_type;
    for (int ranks : {1, 2, 3, 4, 5, 7, 8, 16, 512}) {
      const auto n = static_cast<std::size_t>(ranks);
      const PersistentBytes one = Full::persistent_bytes(ranks),
                            all = Whole::persistent_bytes(ranks);
      const auto padding_of = [&](const auto& ranges) {
        std::size_t sum = 0;
        for (int g = 0; g < Full::groups.count; ++g)
          sum += ranges.padded(g, ranks) - ranges.size[static_cast<std::size_t>(g)];
        return sum * sizeof(float);
      };
      const std::size_t padding = padding_of(Full::shards),
                        frozen = padding_of(Full::shards.frozen);
      CHECK(padding < n * static_cast<std::size_t>(Full::groups.count) * chunk * sizeof(float));
      CHECK(one.parameters * n == all.parameters + padding + frozen);
      CHECK(one.gradients * n == all.gradients + padding);
      CHECK(one.optimizer * n == all.optimizer + 2 * padding);  // two moments
      // Whole beside it: of parameters and of gradients the root and two groups.
      CHECK(one.gathered ==
            sizeof(float) * (Full::shards.padded(0, ranks) + 2 * Full::shards.slot(ranks) +
                             Full::shards.whole(0, ranks) + 2 * Full::shards.whole_slot(ranks)));
    }
  });
}

// ---------------------------------------------------------------- law 7

TEST_CASE("FullShard: a delay of any gather or reduction on any rank changes no bit") {
  for (int ranks : {2, 3}) {
    check_delays<RunOf<FullShard>, Case>(ranks, 2);
    check_delays<RunOf<FullShard, 3, ReduceEach>, Case>(ranks, 2);
    check_delays<RunOf<FullShardKeepForward, 3>, Case>(ranks, 1);
  }
  check_delays<ShardedRun<zoo::TiedGptCase, FullShard>, zoo::TiedGptCase>(4, 2);
  check_delays<ShardedRun<FrozenCase, FullShard, 2>, FrozenCase>(3, 2);
}
TEST_CASE("FullShard: a late update on any rank changes no bit") {
  check_late_updates<Case, FullShard, 1>(4);
}

}  // namespace
