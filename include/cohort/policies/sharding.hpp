// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/sharding.hpp: the schedule and the bytes of ZeRO-1, ZeRO-2, FullShard and HybridShard.
#pragma once
#include <cohort/ops/exact_sum.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/policies/wire.hpp>

namespace cohort::detail {

/// What a strategy keeps whole on every rank; the optimizer's state is always in shards.
template <bool ShardsGradients, bool ShardsParams, bool Reshards = ShardsParams> struct Sharding {
  static constexpr bool shards_gradients = ShardsGradients;
  static constexpr bool shards_params = ShardsParams;
  static constexpr bool reshards = Reshards;  // parameters are freed between forward and backward

  /// Gradients of all groups stay whole until the last of several micro-batches (GradAccum's default mode,
  /// Reproducible's parts).
  template <class Plan> static constexpr bool keeps_gradients(bool accumulates) {
    return !ShardsGradients || (accumulates && !Plan::reduces_each);
  }

  template <class Plan, MicroBatch M> static constexpr auto program() {
    using P = Program<6 * static_cast<std::size_t>(Plan::groups.count) + 4>;
    P p;
    constexpr int G = Plan::groups.count - 1;  // groups 1 .. G; 0 is the root
    if constexpr (shards_params) add_forward_gathers<Plan, M>(p, G);
    for (int g = G; g >= 0; --g) {
      if constexpr (shards_params && reshards) {
        if (g > 1) add_gather<Plan>(p, g - 1, Plan::markers::backward(Plan::shards.last_unit[g]));
      }
      if (reduces<Plan, M>() && Plan::shards.size[g] > 0) add_reduction<Plan, M>(p, g);
    }
    if constexpr (is_last(M)) add_update<Plan>(p, G);
    return p;
  }

  template <class Plan>
  static constexpr PersistentBytes persistent_bytes(int ranks, bool accumulates) {
    const auto& s = Plan::shards;
    const std::size_t shard = s.shard(ranks), whole = shard * static_cast<std::size_t>(ranks);
    constexpr std::size_t C = sizeof(typename Plan::compute), M = sizeof(typename Plan::master);
    constexpr std::size_t D = sizeof(typename Plan::gradient);
    const std::size_t frozen = shards_params ? s.frozen.shard(ranks) : Plan::layout.frozen;
    const std::size_t kept = shards_params ? (Plan::has_masters ? 0 : shard) : whole;
    return {.parameters = (kept + frozen) * C,
            .gradients = (shards_gradients ? shard : whole) * D,
            .optimizer = shard * D * Plan::slots::optimizer::moments,
            .tables = Plan::table_bytes(shard),
            .gathered =
                gathered_params<Plan>(ranks) * C + gathered_gradients<Plan>(ranks, accumulates) * D,
            .frozen = frozen * C,
            .masters = Plan::has_masters ? shard * M : 0,
            .wire = WireSize<Plan>::bytes(s.largest(ranks))};
  }
  /// Elements that hold parameters (gradients) of whole groups beside this rank's shards: every group,
  /// or the root's and two slots that the others use in turn.
  template <class Plan> static constexpr std::size_t gathered_params(int ranks) {
    const auto& s = Plan::shards;
    if (!shards_params) return 0;
    if (reshards) return s.whole(0, ranks) + 2 * s.whole_slot(ranks);
    return (s.shard(ranks) + s.frozen.shard(ranks)) * static_cast<std::size_t>(ranks);
  }
  template <class Plan>
  static constexpr std::size_t gathered_gradients(int ranks, bool accumulates) {
    const auto& s = Plan::shards;
    if (!shards_gradients) return 0;
    if (keeps_gradients<Plan>(accumulates)) return s.shard(ranks) * static_cast<std::size_t>(ranks);
    return s.padded(0, ranks) + 2 * s.slot(ranks);
  }

 private:
  template <class Plan, MicroBatch M> static constexpr bool reduces() {
    return is_last(M) || (shards_gradients && Plan::reduces_each);
  }
  /// Trained and frozen parameters of a group are slices of their own, gathered one after the other.
  template <class Plan, class P> static constexpr void add_gather(P& p, int g, int after) {
    constexpr DType type = dtype_of<typename Plan::compute>;
    const auto& s = Plan::shards;
    if (s.size[g] > 0) p.add({OpKind::all_gather, g, after, s.size[g], type, Axis::shard});
    if (shards_params && s.frozen.size[g] > 0)
      p.add({OpKind::all_gather, g, after, s.frozen.size[g], type, Axis::shard, true});
  }
  /// Root once a step; then each group before it is needed, one ahead of compute.
  template <class Plan, MicroBatch M, class P>
  static constexpr void add_forward_gathers(P& p, int G) {
    using markers = typename Plan::markers;
    if (is_first(M)) add_gather<Plan>(p, 0, markers::begin);
    if (G > 0 && (reshards || is_first(M))) add_gather<Plan>(p, 1, markers::begin);
    for (int g = 1; g < G && (reshards || is_first(M)); ++g) {
      add_gather<Plan>(p, g + 1, markers::forward(Plan::shards.first_unit[g]));
    }
    if (reshards && G > 0) add_gather<Plan>(p, G, markers::forward_ended);
  }
  template <class Plan, MicroBatch M, class P> static constexpr void add_reduction(P& p, int g) {
    const int after = Plan::markers::backward_ended(Plan::shards.first_unit[g]);
    p.add({OpKind::reduce_scatter, g, after, Plan::shards.size[g], dtype_of<typename Plan::reduce>,
           Axis::shard});
    if (Plan::data::shard_ranks > 0 && is_last(M)) {
      p.add({OpKind::all_reduce, g, after, Plan::shards.size[g], dtype_of<typename Plan::reduce>,
             Axis::replicate});
    }
  }
  template <class Plan, class P> static constexpr void add_update(P& p, int G) {
    using markers = typename Plan::markers;
    add_sums<Plan>(p);
    if (Plan::needs_norm) {
      p.add({OpKind::norm, 0, markers::squared, ops::ExactSum::num_limbs, DType::i64, Axis::shard});
    }
    for (int g = 0; g <= G && !shards_params; ++g) add_gather<Plan>(p, g, markers::updated);
  }
};

}  // namespace cohort::detail
