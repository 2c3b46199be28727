// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/sharded.hpp: what ZeRO-1, ZeRO-2, FullShard and HybridShard share: the storage of one rank.
#pragma once
#include <algorithm>
#include <cohort/comm/axes.hpp>
#include <cohort/core/arena.hpp>
#include <cohort/optim/shard.hpp>
#include <cohort/policies/edited.hpp>
#include <cohort/policies/sharding.hpp>
#include <utility>

namespace cohort::detail {

/// Owns one rank's part of the training state. Groups lie one after the other; each rank holds an equal,
/// whole-chunk slice of every group, in `shard` order: group 0's slice, group 1's, ... What is frozen
/// lies behind what is trained, in slices of its own, or whole where parameters are whole.
template <class Plan, class Comm> class ShardedStorage {
 public:
  using C = typename Plan::compute;
  using M = typename Plan::master;
  using D = typename Plan::gradient;
  using how = typename Plan::data;
  static constexpr int num_groups = Plan::groups.count;
  static constexpr bool has_frozen = Plan::layout.frozen > 0;
  static constexpr bool keeps_gradients = how::template keeps_gradients<Plan>;
  static constexpr bool norm_is_partial = true;
  /// Each micro-batch starts new gradients when they leave after every one.
  static constexpr bool restarts_gradients = how::shards_gradients && !keeps_gradients;

  using Device = typename Plan::device;
  /// `device` is where collectives and what goes with them run.
  ShardedStorage(Comm& comm, const Device& device)
      : device_(device),
        axes_(comm, how::shard_ranks),
        params_(bytes().parameters),
        masters_(bytes().masters),
        grads_(bytes().gradients),
        moments_(bytes().optimizer),
        gathered_(bytes().gathered),
        wire_(device, Plan::shards.largest(ranks()), comm.size()) {
    for (int g = 0; g < num_groups; ++g) {
      whole_at_[g + 1] = whole_at_[g] + Plan::shards.padded(g, ranks());
      shard_at_[g + 1] = shard_at_[g] + Plan::shards.per_rank(g, ranks());
      frozen_at_[g + 1] = frozen_at_[g] + Plan::shards.frozen.per_rank(g, ranks());
    }
  }

  C* param(int unit) const { return gathered(Plan::groups.of[unit]) + Plan::shards.offset[unit]; }
  C* frozen(int unit) const {
    if constexpr (!has_frozen) return nullptr;
    if constexpr (!how::shards_params) return whole_frozen(Plan::layout.units[unit].frozen_offset);
    return gathered_frozen(Plan::groups.of[unit]) + Plan::shards.frozen.offset[unit];
  }
  D* grad(int unit) const { return gradient(Plan::groups.of[unit]) + Plan::shards.offset[unit]; }

  std::size_t size() const { return shard_at_[num_groups]; }
  /// Calls f(Shard, copies) for every contiguous piece of this rank's shard; copies are the parameters
  /// of another type that follow it, or nullptr.
  template <class F> void for_each_shard(const std::uint8_t* decays, F f) const {
    if constexpr (how::shards_params && how::shards_gradients) {
      f(Shard<M>{own_masters(0), own_grads(0), moments(), decays, size(), size()}, no_copies);
    } else {
      for (int g = 0; g < num_groups; ++g) {
        f(Shard<M>{own_masters(g), own_grads(g), moments() + shard_at_[g],
                   decays + shard_at_[g] / chunk, per(g), size()},
          Plan::has_masters && !how::shards_params ? own_copies(g) : no_copies);
      }
    }
  }
  /// Where element `offset` of the flat forward order stands in this rank's shard, or -1.
  std::ptrdiff_t local(std::size_t offset, int unit) const {
    const auto [g, k] = place(offset, unit);
    if (k / per(g) != static_cast<std::size_t>(rank())) return -1;
    return static_cast<std::ptrdiff_t>(shard_at_[g] + k % per(g));
  }
  /// Does this rank hold that element of a parameter?
  bool holds(const ParamInfo& p, std::size_t element) const {
    if constexpr (!how::shards_params) return true;
    if (!p.trains) return frozen_at(p, element) != nullptr;
    return local(p.offset + element, p.unit) >= 0;
  }
  /// Sets one element of a parameter wherever this rank holds it; only inside edit().
  void write(const ParamInfo& p, std::size_t element, float value) const {
    if (!p.trains) {
      if (C* to = frozen_at(p, element)) *params_.host(to) = C(value);
      return;
    }
    const auto [g, k] = place(p.offset + element, p.unit);
    if constexpr (!how::shards_params) *params_.host(whole_params() + whole_at_[g] + k) = C(value);
    if constexpr (Plan::has_masters || how::shards_params) {
      const auto& memory = Plan::has_masters ? masters_ : params_;
      if (k / per(g) == static_cast<std::size_t>(rank()))
        *memory.host(own_masters(g) + k % per(g)) = M(value);
    }
  }
  template <class F> void edit(F f) {
    params_.open(device_);
    masters_.open(device_);
    f();
    params_.close(device_);
    masters_.close(device_);
  }

  void run(const Op& op, Comm& world) {
    Comm& comm = op.axis == Axis::shard       ? axes_.shard(world)
                 : op.axis == Axis::replicate ? axes_.replicate(world)
                                              : world;
    const int g = op.id;
    if (op.frozen) {
      comm.all_gather(static_cast<const C*>(own_frozen(g)), gathered_frozen(g), frozen_per(g));
    } else if (op.kind == OpKind::all_gather) {
      all_gather(comm, g);
    } else if (op.kind == OpKind::all_reduce) {
      wire_.all_reduce(comm, own_grads(g), per(g), false);
    } else {  // the first micro-batch's sum is the shard's gradient; later ones are added to it
      wire_.reduce_scatter(comm, gradient(g), own_grads(g), per(g), !keeps_gradients && !first_);
    }
  }
  /// Makes a group's parameters whole outside a step (evaluation). Collective.
  void gather(int unit, Comm& world) {
    if constexpr (how::shards_params) {
      const int g = Plan::groups.of[unit];
      Op op{OpKind::all_gather, g, 0, 0, dtype_of<C>, Axis::shard};
      if (per(g) > 0) run(op, world);
      op.frozen = true;
      if (frozen_per(g) > 0) run(op, world);
    }
  }
  template <class W> W& norm_axis(W& world) { return axes_.shard(world); }

  /// Padding of a slot holds what another group left there: gradients must be zero where no parameter is.
  /// Runs on the stream that computes gradients.
  void zero_padding(const Device& device, int unit) const {
    const UnitInfo& u = Plan::layout.units[unit];
    for (int i = u.first_param; i < u.first_param + u.num_params; ++i) {
      const ParamInfo& p = Plan::layout.params[i];
      if (!p.trains) continue;
      device.zero(grad(unit) + (p.offset - u.offset) + p.numel, (p.padded - p.numel) * sizeof(D));
    }
    const int g = Plan::groups.of[unit];
    if (unit != Plan::shards.last_unit[g]) return;
    const std::size_t end = Plan::shards.size[g];
    device.zero(gradient(g) + end, (Plan::shards.padded(g, ranks()) - end) * sizeof(D));
  }
  void begin_micro_batch(bool first) { first_ = first; }

  /// Makes all ranks start from rank 0's parameters, where each holds all of them. Shards of masters were
  /// drawn by their owners, element by element, and are the same whoever draws them.
  template <class W> void broadcast(W& world) const {
    if constexpr (!how::shards_params)
      world.broadcast(whole_params(), whole_at_[num_groups] + Plan::layout.frozen, 0);
  }
  /// The whole parameters (or reduced gradients) in flat forward order; with nullptr this rank takes part
  /// and keeps nothing. Collective.
  template <class W> void collect(W& world, bool gradients, float* flat) {
    typename Device::Memory memory(std::max(largest() * sizeof(M), largest() * sizeof(D)));
    auto& comm = axes_.shard(world);
    for (int g = 0; g < num_groups; ++g) {
      if (gradients)
        collect_group(comm, g, static_cast<const D*>(own_grads(g)), memory.template as<D>(), flat);
      else
        collect_group(comm, g, static_cast<const M*>(own_masters(g)), memory.template as<M>(),
                      flat);
    }
    if (has_frozen && !gradients) collect_frozen(comm, memory.template as<C>(), flat);
  }

 private:
  static constexpr C* no_copies = nullptr;

  template <class W, class T>
  void collect_group(W& comm, int g, const T* own, T* whole, float* flat) {
    if (per(g) > 0) comm.all_gather(own, whole, per(g));
    settle(comm);
    if (flat == nullptr) return;
    for_units(g, [&](int u, const UnitInfo& unit) {
      fetch_converted(device_, unit.size, static_cast<const T*>(whole) + Plan::shards.offset[u],
                      flat + unit.offset);
    });
  }
  template <class W> void collect_frozen(W& comm, C* whole, float* flat) {
    if constexpr (!how::shards_params) {
      constexpr std::size_t begin = Plan::layout.size;
      if (flat == nullptr) return;
      fetch_converted(device_, Plan::layout.frozen, static_cast<const C*>(whole_frozen(begin)),
                      flat + begin);
    } else {
      for (int g = 0; g < num_groups; ++g) {
        if (frozen_per(g) == 0) continue;
        comm.all_gather(static_cast<const C*>(own_frozen(g)), whole, frozen_per(g));
        settle(comm);
        if (flat == nullptr) continue;
        for_units(g, [&](int u, const UnitInfo& unit) {
          fetch_converted(device_, unit.frozen_size,
                          static_cast<const C*>(whole) + Plan::shards.frozen.offset[u],
                          flat + unit.frozen_offset);
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
  C* whole_params() const { return params_.template as<C>(); }
  D* moments() const { return moments_.template as<D>(); }
  std::pair<int, std::size_t> place(std::size_t offset, int unit) const {
    return {Plan::groups.of[unit],
            Plan::shards.offset[unit] + (offset - Plan::layout.units[unit].offset)};
  }
  /// Where a frozen parameter is, or nullptr: whole ranges keep the layout's order.
  C* frozen_at(const ParamInfo& p, std::size_t element) const {
    if constexpr (!how::shards_params) return whole_frozen(p.offset + element);
    const int g = Plan::groups.of[p.unit];
    const std::size_t k = Plan::shards.frozen.offset[p.unit] + element +
                          (p.offset - Plan::layout.units[p.unit].frozen_offset);
    if (k / frozen_per(g) != static_cast<std::size_t>(rank())) return nullptr;
    return own_frozen(g) + k % frozen_per(g);
  }
  /// The layout's element `offset`, of the frozen range.
  C* whole_frozen(std::size_t offset) const {
    return whole_params() + whole_at_[num_groups] + (offset - Plan::layout.size);
  }
  /// Where a group is whole: at its place among all groups, or in the root's range and two slots
  /// behind it that odd and even groups use in turn.
  template <class T>
  T* among(T* groups, bool all, int g, std::size_t root, std::size_t slot) const {
    if (all) return groups + whole_at_[g];
    return g == 0 ? groups : groups + root + static_cast<std::size_t>(g & 1) * slot;
  }
  C* gathered(int g) const {
    if constexpr (!how::shards_params) return whole_params() + whole_at_[g];
    return among(gathered_.template as<C>(), !how::reshards, g, Plan::shards.whole(0, ranks()),
                 Plan::shards.whole_slot(ranks()));
  }
  C* gathered_frozen(int g) const {
    if constexpr (how::reshards) return gathered(g) + Plan::shards.padded(g, ranks());
    return gathered_.template as<C>() + whole_at_[num_groups] +
           frozen_at_[g] * static_cast<std::size_t>(ranks());
  }
  D* gradient(int g) const {
    if constexpr (!how::shards_gradients) return grads_.template as<D>() + whole_at_[g];
    C* params = gathered_.template as<C>();
    D* gradients = reinterpret_cast<D*>(params + how::template gathered_params<Plan>(ranks()));
    return among(gradients, keeps_gradients, g, Plan::shards.padded(0, ranks()),
                 Plan::shards.slot(ranks()));
  }
  M* own_masters(int g) const {
    if constexpr (Plan::has_masters)
      return masters_.template as<M>() + shard_at_[g];
    else if constexpr (how::shards_params)
      return params_.template as<M>() + shard_at_[g];
    else
      return own_copies(g);
  }
  /// This rank's slice of the whole group.
  C* own_copies(int g) const { return gathered(g) + static_cast<std::size_t>(rank()) * per(g); }
  C* own_frozen(int g) const {
    const std::size_t before = Plan::has_masters ? 0 : shard_at_[num_groups];
    return params_.template as<C>() + before + frozen_at_[g];
  }
  D* own_grads(int g) const {
    if constexpr (how::shards_gradients) return grads_.template as<D>() + shard_at_[g];
    return gradient(g) + static_cast<std::size_t>(rank()) * per(g);
  }
  /// Parameters of another type than their masters are written where the others' come to lie; those of
  /// ZeRO-1 and ZeRO-2 were when they were updated.
  void all_gather(Comm& comm, int g) const {
    if constexpr (Plan::has_masters) {
      if constexpr (how::shards_params)
        copy_converted(device_, per(g), static_cast<const M*>(own_masters(g)), own_copies(g));
      comm.all_gather(static_cast<const C*>(own_copies(g)), gathered(g), per(g));
    } else {
      comm.all_gather(static_cast<const C*>(own_masters(g)), gathered(g), per(g));
    }
  }

  [[no_unique_address]] Device device_;
  Axes<Comm> axes_;
  Edited<Device> params_, masters_;
  typename Device::Memory grads_, moments_, gathered_;
  Wire<Plan> wire_;
  std::array<std::size_t, num_groups + 1> whole_at_{}, shard_at_{}, frozen_at_{};
  bool first_ = true;
};

}  // namespace cohort::detail
