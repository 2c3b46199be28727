// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/sharded.hpp: what ZeRO-1, ZeRO-2, FullShard and HybridShard share: schedule and storage.
#pragma once
#include <algorithm>
#include <cohort/comm/axes.hpp>
#include <cohort/core/arena.hpp>
#include <cohort/ops/exact_sum.hpp>
#include <cohort/optim/shard.hpp>
#include <cohort/plan/plan.hpp>
#include <cstring>
#include <utility>

namespace cohort::detail {

/// What a strategy keeps whole on every rank; the optimizer's state is always in shards.
template <bool ShardsGradients, bool ShardsParams, bool Reshards = ShardsParams> struct Sharding {
  static constexpr bool shards_gradients = ShardsGradients;
  static constexpr bool shards_params = ShardsParams;
  static constexpr bool reshards = Reshards;  // parameters are freed between forward and backward

  /// Gradients of all groups stay whole until the last micro-batch (GradAccum's default mode).
  template <class Plan>
  static constexpr bool keeps_gradients =
      !ShardsGradients || (Plan::micro_batches > 1 && !Plan::reduces_each);

  template <class Plan, MicroBatch M> static constexpr auto program() {
    using P = Program<4 * static_cast<std::size_t>(Plan::groups.count) + 3>;
    P p;
    constexpr int G = Plan::groups.count - 1;  // groups 1 .. G; 0 is the root
    if constexpr (shards_params) add_forward_gathers<Plan, M>(p, G);
    for (int g = G; g >= 0; --g) {
      if constexpr (shards_params && reshards) {
        if (g > 1) p.add(gather<Plan>(g - 1, Plan::markers::backward(Plan::shards.last_unit[g])));
      }
      if (reduces<Plan, M>()) add_reduction<Plan, M>(p, g);
    }
    if constexpr (is_last(M)) add_update<Plan>(p, G);
    return p;
  }

  template <class Plan> static constexpr PersistentBytes persistent_bytes(int ranks) {
    const auto& s = Plan::shards;
    const std::size_t shard = s.shard(ranks), whole = shard * static_cast<std::size_t>(ranks);
    constexpr std::size_t T = sizeof(typename Plan::scalar);
    return {.parameters = (shards_params ? shard : whole) * T,
            .gradients = (shards_gradients ? shard : whole) * T,
            .optimizer = shard * T * Plan::slots::optimizer::moments,
            .tables = round_up(shard / chunk, alignment),
            .gathered = (gathered_params<Plan>(ranks) + gathered_gradients<Plan>(ranks)) * T};
  }
  /// Elements that hold parameters (gradients) of whole groups beside this rank's shards: every group,
  /// or the root's and two slots that the others use in turn.
  template <class Plan> static constexpr std::size_t gathered_params(int ranks) {
    return shards_params ? whole_groups<Plan>(!reshards, ranks) : 0;
  }
  template <class Plan> static constexpr std::size_t gathered_gradients(int ranks) {
    return shards_gradients ? whole_groups<Plan>(keeps_gradients<Plan>, ranks) : 0;
  }

 private:
  template <class Plan> static constexpr std::size_t whole_groups(bool all, int ranks) {
    const auto& s = Plan::shards;
    if (all) return s.shard(ranks) * static_cast<std::size_t>(ranks);
    return s.padded(0, ranks) + 2 * s.slot(ranks);
  }
  template <class Plan, MicroBatch M> static constexpr bool reduces() {
    return is_last(M) || (shards_gradients && Plan::reduces_each);
  }
  template <class Plan> static constexpr Op gather(int g, int after) {
    return {OpKind::all_gather, g, after, Plan::shards.size[g], dtype_of<typename Plan::scalar>,
            Axis::shard};
  }
  /// Root once a step; then each group before it is needed, one ahead of compute.
  template <class Plan, MicroBatch M, class P>
  static constexpr void add_forward_gathers(P& p, int G) {
    using markers = typename Plan::markers;
    if (is_first(M)) p.add(gather<Plan>(0, markers::begin));
    if (G > 0 && (reshards || is_first(M))) p.add(gather<Plan>(1, markers::begin));
    for (int g = 1; g < G && (reshards || is_first(M)); ++g) {
      p.add(gather<Plan>(g + 1, markers::forward(Plan::shards.first_unit[g])));
    }
    if (reshards && G > 0) p.add(gather<Plan>(G, markers::forward_ended));
  }
  template <class Plan, MicroBatch M, class P> static constexpr void add_reduction(P& p, int g) {
    const int after = Plan::markers::backward_ended(Plan::shards.first_unit[g]);
    p.add({OpKind::reduce_scatter, g, after, Plan::shards.size[g], dtype_of<typename Plan::scalar>,
           Axis::shard});
    if (Plan::data::shard_ranks > 0 && is_last(M)) {
      p.add({OpKind::all_reduce, g, after, Plan::shards.size[g], dtype_of<typename Plan::scalar>,
             Axis::replicate});
    }
  }
  template <class Plan, class P> static constexpr void add_update(P& p, int G) {
    using markers = typename Plan::markers;
    p.add({OpKind::loss, 0, markers::backward_ended(0), 2, DType::f64});
    if (Plan::slots::clipping::needs_norm) {
      p.add({OpKind::norm, 0, markers::squared, ops::ExactSum::num_limbs, DType::i64, Axis::shard});
    }
    for (int g = 0; g <= G && !shards_params; ++g) p.add(gather<Plan>(g, markers::updated));
  }
};

/// Owns one rank's part of the training state. Groups lie one after the other; each rank holds an equal,
/// whole-chunk slice of every group, in `shard` order: group 0's slice, group 1's, ...
template <class Plan, class Comm> class ShardedStorage {
 public:
  using T = typename Plan::scalar;
  using how = typename Plan::data;
  static constexpr int num_groups = Plan::groups.count;
  static constexpr bool keeps_gradients = how::template keeps_gradients<Plan>;
  static constexpr bool norm_is_partial = true;
  /// Each micro-batch starts new gradients when they leave after every one.
  static constexpr bool restarts_gradients = how::shards_gradients && !keeps_gradients;

  explicit ShardedStorage(Comm& world)
      : axes_(world, how::shard_ranks),
        params_(bytes().parameters),
        grads_(bytes().gradients),
        moments_(bytes().optimizer),
        gathered_(bytes().gathered) {
    for (int g = 0; g < num_groups; ++g) {
      whole_at_[g + 1] = whole_at_[g] + Plan::shards.padded(g, ranks());
      shard_at_[g + 1] = shard_at_[g] + Plan::shards.per_rank(g, ranks());
    }
  }

  T* param(int unit) const { return gathered(Plan::groups.of[unit]) + Plan::shards.offset[unit]; }
  T* grad(int unit) const { return gradient(Plan::groups.of[unit]) + Plan::shards.offset[unit]; }

  std::size_t size() const { return shard_at_[num_groups]; }
  /// Calls f(Shard) for every contiguous piece of this rank's shard.
  template <class F> void for_each_shard(const std::uint8_t* decays, F f) const {
    if constexpr (how::shards_params && how::shards_gradients) {
      f(Shard<T>{own_params(0), own_grads(0), moments(), decays, size(), size()});
    } else {
      for (int g = 0; g < num_groups; ++g) {
        f(Shard<T>{own_params(g), own_grads(g), moments() + shard_at_[g],
                   decays + shard_at_[g] / chunk, per(g), size()});
      }
    }
  }
  /// Where element `offset` of the flat forward order stands in this rank's shard, or -1.
  std::ptrdiff_t local(std::size_t offset, int unit) const {
    const auto [g, k] = place(offset, unit);
    if (k / per(g) != static_cast<std::size_t>(rank())) return -1;
    return static_cast<std::ptrdiff_t>(shard_at_[g] + k % per(g));
  }
  /// Where this rank keeps that parameter, or nullptr.
  T* param_at(std::size_t offset, int unit) const {
    const auto [g, k] = place(offset, unit);
    if constexpr (!how::shards_params) return whole_params() + whole_at_[g] + k;
    if (k / per(g) != static_cast<std::size_t>(rank())) return nullptr;
    return own_params(g) + k % per(g);
  }

  void run(const Op& op, Comm& world) {
    Comm& comm = op.axis == Axis::shard       ? axes_.shard(world)
                 : op.axis == Axis::replicate ? axes_.replicate(world)
                                              : world;
    const int g = op.id;
    if (op.kind == OpKind::all_gather) {
      comm.all_gather(static_cast<const T*>(own_params(g)), gathered(g), per(g));
    } else if (op.kind == OpKind::all_reduce) {
      comm.all_reduce(own_grads(g), per(g));
    } else {
      reduce_scatter(comm, g);
    }
  }
  /// Makes a group's parameters whole outside a step (evaluation). Collective.
  void gather(int unit, Comm& world) {
    if constexpr (how::shards_params) {
      run({OpKind::all_gather, Plan::groups.of[unit], 0, 0, dtype_of<T>, Axis::shard}, world);
    }
  }
  template <class C> C& norm_axis(C& world) { return axes_.shard(world); }

  /// Padding of a slot holds what another group left there: gradients must be zero where no parameter is.
  void zero_padding(int unit) const {
    const UnitInfo& u = Plan::layout.units[unit];
    for (int i = u.first_param; i < u.first_param + u.num_params; ++i) {
      const ParamInfo& p = Plan::layout.params[i];
      std::memset(static_cast<void*>(grad(unit) + (p.offset - u.offset) + p.numel), 0,
                  (p.padded - p.numel) * sizeof(T));
    }
    const int g = Plan::groups.of[unit];
    if (unit != Plan::shards.last_unit[g]) return;
    const std::size_t end = Plan::shards.size[g];
    std::memset(static_cast<void*>(gradient(g) + end), 0,
                (Plan::shards.padded(g, ranks()) - end) * sizeof(T));
  }
  void begin_micro_batch(bool first) { first_ = first; }

  template <class C> void broadcast(C& world) const {
    if constexpr (!how::shards_params) world.broadcast(whole_params(), whole_at_[num_groups], 0);
  }
  /// The whole parameters (or reduced gradients) in flat forward order, on every rank. Collective.
  template <class C> void collect(C& world, bool gradients, T* flat) {
    HostMemory group(largest() * sizeof(T));
    for (int g = 0; g < num_groups; ++g) {
      T* whole = group.as<T>();
      axes_.shard(world).all_gather(static_cast<const T*>(gradients ? own_grads(g) : own_params(g)),
                                    whole, per(g));
      for (int u = 0; u < Plan::num_units; ++u) {
        if (Plan::groups.of[u] != g) continue;
        std::memcpy(flat + Plan::layout.units[u].offset, whole + Plan::shards.offset[u],
                    Plan::layout.units[u].size * sizeof(T));
      }
    }
  }

 private:
  PersistentBytes bytes() const { return how::template persistent_bytes<Plan>(ranks()); }
  int ranks() const { return axes_.shard_size(); }
  int rank() const { return axes_.shard_rank(); }
  std::size_t per(int g) const { return shard_at_[g + 1] - shard_at_[g]; }
  std::size_t largest() const {
    return std::max(Plan::shards.slot(ranks()), Plan::shards.padded(0, ranks()));
  }
  T* whole_params() const { return params_.template as<T>(); }
  T* moments() const { return moments_.template as<T>(); }
  std::pair<int, std::size_t> place(std::size_t offset, int unit) const {
    return {Plan::groups.of[unit],
            Plan::shards.offset[unit] + (offset - Plan::layout.units[unit].offset)};
  }
  /// Where a group is whole: at its place among all groups, or in the root's range and two slots
  /// behind it that odd and even groups use in turn.
  T* among(T* groups, bool all, int g) const {
    if (all || g == 0) return groups + whole_at_[g];
    return groups + whole_at_[1] + static_cast<std::size_t>(g & 1) * Plan::shards.slot(ranks());
  }
  T* gathered(int g) const {
    if constexpr (!how::shards_params) return whole_params() + whole_at_[g];
    return among(gathered_.template as<T>(), !how::reshards, g);
  }
  T* gradient(int g) const {
    if constexpr (!how::shards_gradients) return grads_.template as<T>() + whole_at_[g];
    T* gradients = gathered_.template as<T>() + how::template gathered_params<Plan>(ranks());
    return among(gradients, keeps_gradients, g);
  }
  T* own_params(int g) const {
    if constexpr (how::shards_params) return params_.template as<T>() + shard_at_[g];
    return whole_params() + whole_at_[g] + static_cast<std::size_t>(rank()) * per(g);
  }
  T* own_grads(int g) const {
    if constexpr (how::shards_gradients) return grads_.template as<T>() + shard_at_[g];
    return gradient(g) + static_cast<std::size_t>(rank()) * per(g);
  }
  /// The first micro-batch's sum is the shard's gradient; later ones are added to it.
  void reduce_scatter(Comm& comm, int g) {
    if (keeps_gradients || first_) {
      comm.reduce_scatter(static_cast<const T*>(gradient(g)), own_grads(g), per(g));
      return;
    }
    T* sum = gradient(g) +
             static_cast<std::size_t>(rank()) * per(g);  // in place: peers read other slices
    comm.reduce_scatter(static_cast<const T*>(gradient(g)), sum, per(g));
    T* to = own_grads(g);
    for (std::size_t i = 0; i < per(g); ++i) to[i] += sum[i];
  }

  Axes<Comm> axes_;
  HostMemory params_, grads_, moments_, gathered_;
  std::array<std::size_t, num_groups + 1> whole_at_{}, shard_at_{};
  bool first_ = true;
};

}  // namespace cohort::detail
