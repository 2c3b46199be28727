// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/waits_test.cpp: what compute waits for, against tables made by hand.
#include <cohort/plan/waits.hpp>

#include <doctest/doctest.h>

#include <cohort/trainer.hpp>

#include "support/models.hpp"

using namespace cohort;

namespace {

// Units 0 .. 4; groups root, 1, 2, 3, root.
using Chain = nn::Sequential<nn::Linear<4, 4>, nn::Repeat<3, nn::Linear<4, 4>>, nn::Linear<4, 3>>;
template <class How, class... Ps>
using PlanOf = typename Trainer<Chain, nn::CrossEntropy, DataParallel<How>, Ps...>::plan_type;
template <class How, class... Ps>
using PlanOfFrozen =
    typename Trainer<zoo::PartlyFrozen, nn::CrossEntropy, DataParallel<How>, Ps...>::plan_type;
template <class How, MicroBatch M = MicroBatch::only, class... Ps>
constexpr auto waits = PlanOf<How, Ps...>::template waits<M>;

using Table = std::array<int, 5>;

// FullShard: 1 G(root) 2 G1 3 G2 4 G3 | 5 G3 6 G2 7 R3 8 G1 9 R2 10 R1 11 R(root) 12 loss (13 norm).
constexpr auto full = waits<FullShard>;
static_assert(full.forward == Table{1, 2, 3, 4, 1});
static_assert(full.backward == Table{1, 8, 6, 5, 1});
static_assert(full.reduced == 12 && full.normed == 12);
constexpr auto clipped = waits<FullShard, MicroBatch::only, ClipGradNorm>;
static_assert(clipped.reduced == 12 && clipped.normed == 13);

// Kept from forward to backward: 1 G(root) 2 G1 3 G2 4 G3 | 5 R3 6 R2 7 R1 ...; the slot of group 1's
// gradients is the one that R3 leaves.
constexpr auto kept = waits<FullShardKeepForward>;
static_assert(kept.forward == Table{1, 2, 3, 4, 1});
static_assert(kept.backward == Table{1, 5, 3, 4, 1});

// Nothing is gathered before compute; only the slot matters: 1 R3.
static_assert(waits<ShardGradients>.forward == Table{});
static_assert(waits<ShardGradients>.backward == Table{0, 1, 0, 0, 0});
static_assert(waits<ShardGradients>.reduced == 5);

// Replicate reduces buckets of whole gradients: compute waits for nothing but the end.
static_assert(waits<Replicate>.forward == Table{} && waits<Replicate>.backward == Table{});
static_assert(waits<Replicate>.reduced == PlanOf<Replicate>::buckets.count + 1);

// Micro-batches but the last keep gradients whole: gathers only, and the root's only in the first.
constexpr auto first = waits<FullShard, MicroBatch::first, GradAccum<2>>;
static_assert(first.forward == Table{1, 2, 3, 4, 1} && first.backward == Table{1, 7, 6, 5, 1});
constexpr auto last = waits<FullShard, MicroBatch::last, GradAccum<2>>;
static_assert(last.forward == Table{0, 1, 2, 3, 0});

}  // namespace

TEST_CASE("waits: no unit waits for an operation that is issued after it has begun") {
  const auto check = []<class Plan>(const Plan&) {
    Plan::for_each_micro_batch([]<MicroBatch M>() {
      constexpr auto waits = Plan::template waits<M>;
      constexpr auto program = Plan::template program<M>;
      const auto issued_by = [&](int count, int marker) {
        return count == 0 || program.op[static_cast<std::size_t>(count - 1)].after <= marker;
      };
      for (int u = 0; u < Plan::num_units; ++u) {
        CHECK(issued_by(waits.forward[static_cast<std::size_t>(u)], Plan::markers::forward(u)));
        CHECK(issued_by(waits.backward[static_cast<std::size_t>(u)], Plan::markers::backward(u)));
      }
      CHECK(waits.reduced <= waits.normed);
    });
  };
  check(PlanOf<FullShard, ClipGradNorm>{});
  check(PlanOf<FullShard, GradAccum<3>>{});
  check(PlanOf<FullShard, GradAccum<3, ReduceEach>>{});
  check(PlanOf<HybridShard<2>, GradAccum<3, ReduceEach>, ClipGradNorm>{});
  check(PlanOf<ShardOptimizer>{});
  check(PlanOfFrozen<FullShard, GradAccum<3>, ClipGradNorm>{});
  check(PlanOfFrozen<HybridShard<2>, GradAccum<3, ReduceEach>>{});
}
