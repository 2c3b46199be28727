// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/sharded.hpp: what ZeRO-1, ZeRO-2, FullShard and HybridShard share: the storage of one rank.
#pragma once
#include <algorithm>
#include <cohort/comm/axes.hpp>
#include <cohort/core/arena.hpp>
#include <cohort/optim/shard.hpp>
#include <cohort/policies/sharding.hpp>
#include <cstring>
#include <utility>

namespace cohort::detail {

/// Owns one rank's part of the training state. Groups lie one after the other; each rank holds an equal,
/// whole-chunk slice of every group, in `shard` order: group 0's slice, group 1's, ... What is frozen
/// lies behind what is trained, in slices of its own, or whole where parameters are whole.
template <class Plan, class Comm> class ShardedStorage {
 public:
  using T = typename Plan::scalar;
  using how = typename Plan::data;
  static constexpr int num_groups = Plan::groups.count;
  static constexpr bool has_frozen = Plan::layout.frozen > 0;
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
      frozen_at_[g + 1] = frozen_at_[g] + Plan::shards.frozen.per_rank(g, ranks());
    }
  }

  T* param(int unit) const { return gathered(Plan::groups.of[unit]) + Plan::shards.offset[unit]; }
  T* frozen(int unit) const {
    if constexpr (!has_frozen) return nullptr;
    if constexpr (!how::shards_params) return whole_frozen(Plan::layout.units[unit].frozen_offset);
    return gathered_frozen(Plan::groups.of[unit]) + Plan::shards.frozen.offset[unit];
  }
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
  T* param_at(const ParamInfo& p, std::size_t element) const {
    if (!p.trains) return frozen_at(p, element);
    const auto [g, k] = place(p.offset + element, p.unit);
    if constexpr (!how::shards_params) return whole_params() + whole_at_[g] + k;
    if (k / per(g) != static_cast<std::size_t>(rank())) return nullptr;
    return own_params(g) + k % per(g);
  }

  void run(const Op& op, Comm& world) {
    Comm& comm = op.axis == Axis::shard       ? axes_.shard(world)
                 : op.axis == Axis::replicate ? axes_.replicate(world)
                                              : world;
    const int g = op.id;
    if (op.frozen) {
      comm.all_gather(static_cast<const T*>(own_frozen(g)), gathered_frozen(g), frozen_per(g));
    } else if (op.kind == OpKind::all_gather) {
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
      const int g = Plan::groups.of[unit];
      Op op{OpKind::all_gather, g, 0, 0, dtype_of<T>, Axis::shard};
      if (per(g) > 0) run(op, world);
      op.frozen = true;
      if (frozen_per(g) > 0) run(op, world);
    }
  }
  template <class C> C& norm_axis(C& world) { return axes_.shard(world); }

  /// Padding of a slot holds what another group left there: gradients must be zero where no parameter is.
  void zero_padding(int unit) const {
    const UnitInfo& u = Plan::layout.units[unit];
    for (int i = u.first_param; i < u.first_param + u.num_params; ++i) {
      const ParamInfo& p = Plan::layout.params[i];
      if (!p.trains) continue;
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
    if constexpr (!how::shards_params)
      world.broadcast(whole_params(), whole_at_[num_groups] + Plan::layout.frozen, 0);
  }
  /// The whole parameters (or reduced gradients) in flat forward order; with nullptr this rank takes part
  /// and keeps nothing. Collective.
  template <class C> void collect(C& world, bool gradients, T* flat) {
    HostMemory memory(largest() * sizeof(T));
    T* whole = memory.as<T>();
    auto& comm = axes_.shard(world);
    for (int g = 0; g < num_groups; ++g) {
      const T* own = gradients ? own_grads(g) : own_params(g);
      if (per(g) > 0) comm.all_gather(own, whole, per(g));
      if (flat == nullptr) continue;
      for_units(g, [&](int u, const UnitInfo& unit) {
        std::memcpy(flat + unit.offset, whole + Plan::shards.offset[u], unit.size * sizeof(T));
      });
    }
    if (has_frozen && !gradients) collect_frozen(comm, whole, flat);
  }

 private:
  template <class C> void collect_frozen(C& comm, T* whole, T* flat) {
    if constexpr (!how::shards_params) {
      constexpr std::size_t begin = Plan::layout.size;
      if (flat == nullptr) return;
      std::memcpy(flat + begin, whole_frozen(begin), Plan::layout.frozen * sizeof(T));
    } else {
      for (int g = 0; g < num_groups; ++g) {
        if (frozen_per(g) == 0) continue;
        comm.all_gather(static_cast<const T*>(own_frozen(g)), whole, frozen_per(g));
        if (flat == nullptr) continue;
        for_units(g, [&](int u, const UnitInfo& unit) {
          std::memcpy(flat + unit.frozen_offset, whole + Plan::shards.frozen.offset[u],
                      unit.frozen_size * sizeof(T));
        });
      }
    }
  }
  template <class F> static void for_units(int group, F f) {
    for (int u = 0; u < Plan::num_units; ++u)
      if (Plan::groups.of[u] == group) f(u, Plan::layout.units[u]);
  }
  PersistentBytes bytes() const { return how::template persistent_bytes<Plan>(ranks()); }
  int ranks() const { return axes_.shard_size(); }
  int rank() const { return axes_.shard_rank(); }
  std::size_t per(int g) const { return shard_at_[g + 1] - shard_at_[g]; }
  std::size_t frozen_per(int g) const { return frozen_at_[g + 1] - frozen_at_[g]; }
  std::size_t largest() const {
    return std::max(Plan::shards.whole_slot(ranks()), Plan::shards.whole(0, ranks()));
  }
  T* whole_params() const { return params_.template as<T>(); }
  T* moments() const { return moments_.template as<T>(); }
  std::pair<int, std::size_t> place(std::size_t offset, int unit) const {
    return {Plan::groups.of[unit],
            Plan::shards.offset[unit] + (offset - Plan::layout.units[unit].offset)};
  }
  /// Where a frozen parameter is, or nullptr: whole ranges keep the layout's order.
  T* frozen_at(const ParamInfo& p, std::size_t element) const {
    if constexpr (!how::shards_params) return whole_frozen(p.offset + element);
    const int g = Plan::groups.of[p.unit];
    const std::size_t k = Plan::shards.frozen.offset[p.unit] + element +
                          (p.offset - Plan::layout.units[p.unit].frozen_offset);
    if (k / frozen_per(g) != static_cast<std::size_t>(rank())) return nullptr;
    return own_frozen(g) + k % frozen_per(g);
  }
  /// The layout's element `offset`, of the frozen range.
  T* whole_frozen(std::size_t offset) const {
    return whole_params() + whole_at_[num_groups] + (offset - Plan::layout.size);
  }
  /// Where a group is whole: at its place among all groups, or in the root's range and two slots
  /// behind it that odd and even groups use in turn.
  T* among(T* groups, bool all, int g, std::size_t root, std::size_t slot) const {
    if (all) return groups + whole_at_[g];
    return g == 0 ? groups : groups + root + static_cast<std::size_t>(g & 1) * slot;
  }
  T* gathered(int g) const {
    if constexpr (!how::shards_params) return whole_params() + whole_at_[g];
    return among(gathered_.template as<T>(), !how::reshards, g, Plan::shards.whole(0, ranks()),
                 Plan::shards.whole_slot(ranks()));
  }
  T* gathered_frozen(int g) const {
    if constexpr (how::reshards) return gathered(g) + Plan::shards.padded(g, ranks());
    return gathered_.template as<T>() + whole_at_[num_groups] +
           frozen_at_[g] * static_cast<std::size_t>(ranks());
  }
  T* gradient(int g) const {
    if constexpr (!how::shards_gradients) return grads_.template as<T>() + whole_at_[g];
    T* gradients = gathered_.template as<T>() + how::template gathered_params<Plan>(ranks());
    return among(gradients, keeps_gradients, g, Plan::shards.padded(0, ranks()),
                 Plan::shards.slot(ranks()));
  }
  T* own_params(int g) const {
    if constexpr (how::shards_params) return params_.template as<T>() + shard_at_[g];
    return whole_params() + whole_at_[g] + static_cast<std::size_t>(rank()) * per(g);
  }
  T* own_frozen(int g) const {
    return params_.template as<T>() + shard_at_[num_groups] + frozen_at_[g];
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
  std::array<std::size_t, num_groups + 1> whole_at_{}, shard_at_{}, frozen_at_{};
  bool first_ = true;
};

}  // namespace cohort::detail
