// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/full_shard_test.cpp: FSDP: Replicate's bits, FSDP2's order, and bytes as planned.
#include <cohort/policies/full_shard.hpp>

#include <doctest/doctest.h>

#include "compiled_once.hpp"
#include "full_sharded.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(!Policy<FullShard> && Policy<DataParallel<FullShard>>);

namespace {

using namespace full_sharded;
using FrozenCase = zoo::LittleFrozenCase;  // full_shard_full_test.cpp has zoo::PartlyFrozenCase

// ---------------------------------------------------------------- law 2

TEST_CASE(
    "FullShard: the bits of Replicate after 20 steps, a sample of models, all numbers of ranks") {
  check_law_2_sample<FullShard, Case, FrozenCase, zoo::TiedGptCase>();
}
TEST_CASE("FullShardKeepForward: the bits of Replicate after 20 steps, all numbers of ranks") {
  check_law_2_sample<FullShardKeepForward, zoo::OddMlpCase>();
}

TEST_CASE(
    "FullShard: GradAccum<N, ReduceEach> has the bits of ShardGradients, and the right gradient") {
  for (int ranks : law_rank_counts) {
    CAPTURE(ranks);
    check_each_like_zero_2<3, FullShard>(ranks);
    check_gradient<RunOf<FullShard, 3, ReduceEach>, Case, 3>(ranks);
  }
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
    check_tape<RunOf<FullShard, 3, ReduceEach>, Case>(ranks);
    check_tape<ShardedRun<FrozenCase, FullShard, 2>, FrozenCase>(ranks);
    check_tape<ShardedRun<zoo::OddMlpCase, FullShardKeepForward, 3>, zoo::OddMlpCase>(ranks);
  }
}

static_assert(sends_what_it_says<1>(2) && sends_what_it_says<1>(3) && sends_what_it_says<1>(512));
static_assert(sends_what_it_says<3>(7) && sends_what_it_says<3>(64));

TEST_CASE(
    "FullShard: the heap that a run takes is the planned peak, to the byte; steps take none") {
  for (int ranks : {1, 2, 3, 5, 8}) {
    check_heap<RunOf<FullShard, 3, ReduceEach>, Case>(ranks);
    check_heap<ShardedRun<FrozenCase, FullShard, 2>, FrozenCase>(ranks);
    check_heap<ShardedRun<zoo::OddMlpCase, FullShardKeepForward, 3>, zoo::OddMlpCase>(ranks);
  }
  check_steps_allocate_nothing<RunOf<FullShard, 3, ReduceEach>, Case>(3);
}

TEST_CASE("FullShard: a rank's own state is 1/N of Replicate's and the padding of its groups") {
  check_own_state<Case>();
  check_own_state<FrozenCase>();
}

// ---------------------------------------------------------------- law 7

TEST_CASE("FullShard: a delay of any gather or reduction on any rank changes no bit") {
  for (int ranks : {2, 3}) {
    check_delays<RunOf<FullShard>, Case>(ranks, 2);
    check_delays<RunOf<FullShard, 3, ReduceEach>, Case>(ranks, 2);
  }
  check_delays<ShardedRun<zoo::TiedGptCase, FullShard, 2>, zoo::TiedGptCase>(4, 2);
  check_delays<ShardedRun<FrozenCase, FullShard, 2>, FrozenCase>(3, 2);
  check_delays<ShardedRun<zoo::OddMlpCase, FullShardKeepForward, 3>, zoo::OddMlpCase>(3, 1);
}
TEST_CASE("FullShard: a late update on any rank changes no bit") {
  check_late_updates<Case, FullShard, 1>(4);
}

}  // namespace
