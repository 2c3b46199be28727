// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/sharding_test.cpp: schedules and bytes of the sharding strategies where parameters are
// frozen: gathered with their group, never reduced.
#include <cohort/policies/sharding.hpp>

#include <doctest/doctest.h>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

// Groups: root (trained and frozen), two elements with a frozen part, two that are frozen wholly.
using Case = zoo::PartlyFrozenCase;
template <class How, int N = 1, class Mode = KeepUnsharded>
using PlanOf = typename ShardedRun<Case, How, N, Mode>::plan_type;

static_assert(PlanOf<FullShard>::groups.count == 5);
static_assert(PlanOf<FullShard>::shards.size[0] > 0 &&
              PlanOf<FullShard>::shards.frozen.size[0] > 0);
static_assert(PlanOf<FullShard>::shards.size[1] > 0 &&
              PlanOf<FullShard>::shards.frozen.size[1] > 0);
static_assert(PlanOf<FullShard>::shards.size[3] == 0 &&
              PlanOf<FullShard>::shards.frozen.size[3] > 0);

// A layer type names its frozen elements too.
using ByBlock = Trainer<Case::Model, Case::Loss, DataParallel<FullShard>,
                        Groups<Each<zoo::Block<6, 2>>>>::plan_type;
static_assert(ByBlock::groups.count == 3 && ByBlock::shards.size[1] == 0 &&
              ByBlock::shards.frozen.size[2] == flat_size<zoo::Block<6, 2>>());

/// Gathers and reductions of a micro-batch: G3 (g3 when frozen), R3; the bar is the end of forward.
template <class Plan, MicroBatch M> std::string order() {
  std::string text;
  bool backward = false;
  for (const Op& op : Plan::template program<M>) {
    if (!backward && op.after >= Plan::markers::forward_ended) text += "| ", backward = true;
    if (op.kind == OpKind::all_gather)
      text += (op.frozen ? "g" : "G") + std::to_string(op.id) + " ";
    if (op.kind == OpKind::reduce_scatter) text += "R" + std::to_string(op.id) + " ";
    if (op.kind == OpKind::all_reduce) text += "A" + std::to_string(op.id) + " ";
  }
  return text;
}

TEST_CASE("sharding: frozen parameters are gathered with their group, and never reduced") {
  constexpr auto only = MicroBatch::only;
  const std::string forward = "G0 g0 G1 g1 G2 g2 g3 g4 ";
  CHECK(order<PlanOf<FullShard>, only>() == forward + "| g4 g3 G2 g2 G1 g1 R2 R1 R0 ");
  CHECK(order<PlanOf<FullShardKeepForward>, only>() == forward + "| R2 R1 R0 ");
  CHECK(order<PlanOf<HybridShard<2>>, only>() ==
        forward + "| g4 g3 G2 g2 G1 g1 R2 A2 R1 A1 R0 A0 ");
}
TEST_CASE("sharding: frozen parameters are never sent where every rank holds them") {
  constexpr auto only = MicroBatch::only;
  CHECK(order<PlanOf<ShardOptimizer>, only>() == "| R2 R1 R0 G0 G1 G2 ");
  CHECK(order<PlanOf<ShardGradients>, only>() == "| R2 R1 R0 G0 G1 G2 ");
}

/// (2m + 1)P of what is trained and 2m P of what is frozen; of the root 2P and P.
template <int M> constexpr bool sends_what_it_says(int ranks) {
  using Plan = PlanOf<FullShard, M>;
  const ShardBytes<Plan> p(ranks);
  const std::size_t root = Plan::shards.frozen.per_rank(0, ranks) * sizeof(float);
  const std::size_t others = Plan::shards.frozen.shard(ranks) * sizeof(float) - root;
  const std::size_t m = M;
  return Plan::wire_bytes({.ranks = ranks}) ==
         p.peers * ((2 * m + 1) * p.others + 2 * p.root + 2 * m * others + root) +
             small_bytes(ranks, ranks);
}
static_assert(sends_what_it_says<1>(2) && sends_what_it_says<1>(7) && sends_what_it_says<3>(64));

TEST_CASE("sharding: memory of frozen parameters is a shard, or the whole, and nothing else") {
  for (int ranks : {1, 2, 3, 8, 64}) {
    const auto n = static_cast<std::size_t>(ranks);
    constexpr auto& s = PlanOf<FullShard>::shards;
    const PersistentBytes full = PlanOf<FullShard>::persistent_bytes(ranks),
                          zero_1 = PlanOf<ShardOptimizer>::persistent_bytes(ranks);
    CHECK(full.frozen == s.frozen.shard(ranks) * sizeof(float));
    CHECK(full.parameters == (s.shard(ranks) + s.frozen.shard(ranks)) * sizeof(float));
    CHECK(full.gradients == s.shard(ranks) * sizeof(float));
    CHECK(full.optimizer == 2 * s.shard(ranks) * sizeof(float));
    CHECK(zero_1.frozen == PlanOf<FullShard>::layout.frozen * sizeof(float));
    CHECK(zero_1.parameters == s.shard(ranks) * n * sizeof(float) + zero_1.frozen);
    CHECK(zero_1.gradients == s.shard(ranks) * n * sizeof(float));
    CHECK(zero_1.optimizer == full.optimizer);
  }
}

}  // namespace
