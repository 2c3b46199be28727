// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/sharded_memory.hpp: the memory of one rank under a strategy that shards, and where everything is in it.
#pragma once
#include <algorithm>
#include <cohort/comm/axes.hpp>
#include <cohort/comm/exchanged_memory.hpp>
#include <cohort/core/arena.hpp>
#include <cohort/optim/shard.hpp>
#include <cohort/plan/held.hpp>
#include <cohort/policies/edited.hpp>
#include <cohort/policies/sharding.hpp>
#include <utility>

namespace cohort::detail {

/// Owns one rank's part of the training state. Groups lie one after the other; each rank holds an equal,
/// whole-chunk slice of every group, in `shard` order: group 0's slice, group 1's, ... What is frozen
/// lies behind what is trained, in slices of its own, or whole where parameters are whole.
template <class Plan, class Comm> class ShardedMemory {
 public:
  using C = typename Plan::compute;
  using M = typename Plan::master;
  using D = typename Plan::gradient;
  using how = typename Plan::data;
  using Device = typename Plan::device;
  static constexpr int num_groups = Plan::groups.count;

  /// `device` is where collectives and what goes with them run.
  ShardedMemory(Comm& comm, const Device& device)
      : device_(device),
        axes_(comm, how::shard_ranks),
        world_{comm.size(), comm.rank()},
        params_(bytes().parameters),
        masters_(bytes().masters),
        grads_(bytes().gradients),
        moments_(bytes().optimizer),
        gathered_(bytes().gathered) {
    for (int g = 0; g < num_groups; ++g) {
      whole_at_[g + 1] = whole_at_[g] + Plan::shards.padded(g, ranks());
      shard_at_[g + 1] = shard_at_[g] + Plan::shards.per_rank(g, ranks());
      frozen_at_[g + 1] = frozen_at_[g] + Plan::shards.frozen.per_rank(g, ranks());
    }
  }

  /// Elements of this rank's shard of what is trained, and of the frozen ones that it keeps.
  std::size_t size() const { return shard_at_[num_groups]; }
  std::size_t frozen_size() const {
    return how::shards_params ? frozen_at_[num_groups] : Plan::layout.frozen;
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
      if (k / per(g) != static_cast<std::size_t>(rank())) return;
      M* const own = own_masters(g) + k % per(g);
      if constexpr (Plan::has_masters)
        *masters_.host(own) = M(value);
      else
        *params_.host(own) = M(value);
    }
  }
  template <class F> void edit(F f) {
    params_.open(device_);
    masters_.open(device_);
    f();
    params_.close(device_);
    masters_.close(device_);
  }

  /// Which ranks hold the same shard, and the same frozen parameters.
  Copies copies() const { return {world_.count / ranks(), world_.index / ranks()}; }
  Copies frozen_copies() const { return how::shards_params ? copies() : world_; }
  /// Calls f(HeldRun, masters, moments) for every run of elements of this rank's shard; moment m of the
  /// run stands at moments + m * size().
  template <class F> void for_each_held(F f) const {
    for_each_sharded_run(Plan::layout, Plan::groups, Plan::shards, true, ranks(), rank(),
                         [&](const HeldRun& run) {
                           const std::size_t at = run.local - shard_at_[run.group];
                           f(run, own_masters(run.group) + at, moments() + run.local);
                         });
  }
  /// Calls f(HeldRun, elements) for the frozen parameters that this rank keeps.
  template <class F> void for_each_held_frozen(F f) const {
    if constexpr (!how::shards_params) {
      for_each_whole_run(Plan::layout, false, [&](const HeldRun& run) {
        f(run, whole_frozen(Plan::layout.size + run.local));
      });
    } else {
      for_each_sharded_run(Plan::layout, Plan::groups, Plan::shards, false, ranks(), rank(),
                           [&](const HeldRun& run) { f(run, own_frozen(0) + run.local); });
    }
  }

 protected:
  PersistentBytes bytes() const {
    return how::template persistent_bytes<Plan>(ranks(), accumulates());
  }
  bool accumulates() const { return Plan::micro_batches_on(world_.count) > 1; }
  bool keeps_gradients() const { return how::template keeps_gradients<Plan>(accumulates()); }
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
    return among(gradients, keeps_gradients(), g, Plan::shards.padded(0, ranks()),
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

  /// Tells the axes' communicators of what they will move. Collective.
  void announce_to(Comm& world) {
    Comm& shard = axes_.shard(world);
    announce(shard, params_.memory());
    announce(shard, grads_);
    announce(shard, gathered_);
    if constexpr (how::shard_ranks > 0 && !Plan::casts_reductions)
      announce(axes_.replicate(world), grads_);
  }

  [[no_unique_address]] Device device_;
  Axes<Comm> axes_;
  std::array<std::size_t, num_groups + 1> whole_at_{}, shard_at_{}, frozen_at_{};

 private:
  Copies world_;
  using Exchanged = ExchangedMemory<Comm, Device>;
  Edited<Device, Exchanged> params_;
  Edited<Device> masters_;
  Exchanged grads_;
  typename Device::Memory moments_;
  Exchanged gathered_;
};

}  // namespace cohort::detail
