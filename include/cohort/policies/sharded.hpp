// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/sharded.hpp: what ZeRO-1, ZeRO-2, FullShard and HybridShard share: the storage of one rank.
#pragma once
#include <algorithm>
#include <cohort/policies/sharded_memory.hpp>

namespace cohort::detail {

/// One rank's part of the training state (ShardedMemory) and the collectives that move it.
template <class Plan, class Comm> class ShardedStorage : public ShardedMemory<Plan, Comm> {
  using Memory = ShardedMemory<Plan, Comm>;
  using Memory::axes_, Memory::device_, Memory::whole_at_, Memory::shard_at_;
  using Memory::gathered, Memory::gathered_frozen, Memory::gradient, Memory::moments;
  using Memory::own_masters, Memory::own_copies, Memory::own_grads, Memory::own_frozen;
  using Memory::per, Memory::frozen_per, Memory::ranks, Memory::largest;
  using Memory::whole_params, Memory::whole_frozen, Memory::keeps_gradients, Memory::num_groups;

 public:
  using Memory::size;
  using typename Memory::C, typename Memory::M, typename Memory::D, typename Memory::how,
      typename Memory::Device;
  static constexpr bool has_frozen = Plan::layout.frozen > 0;
  static constexpr bool norm_is_partial = true;
  /// Each micro-batch starts new gradients when they leave after every one, with Reproducible where it is
  /// the only one.
  static constexpr bool restarts_gradients =
      !how::template keeps_gradients<Plan>(Plan::micro_batches > 1);

  /// `device` is where collectives and what goes with them run.
  ShardedStorage(Comm& comm, const Device& device)
      : Memory(comm, device), wire_(device, Plan::shards.largest(ranks()), comm.size()) {
    this->announce_to(comm);
    if constexpr (Plan::casts_reductions) {
      wire_.announce_to(axes_.shard(comm));
      if constexpr (how::shard_ranks > 0) wire_.announce_to(axes_.replicate(comm));
    }
  }

  C* param(int unit) const { return gathered(Plan::groups.of[unit]) + Plan::shards.offset[unit]; }
  C* frozen(int unit) const {
    if constexpr (!has_frozen) return nullptr;
    if constexpr (!how::shards_params) return whole_frozen(Plan::layout.units[unit].frozen_offset);
    return gathered_frozen(Plan::groups.of[unit]) + Plan::shards.frozen.offset[unit];
  }
  D* grad(int unit) const { return gradient(Plan::groups.of[unit]) + Plan::shards.offset[unit]; }

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
      wire_.reduce_scatter(comm, gradient(g), own_grads(g), per(g), !keeps_gradients() && !first_);
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
    if (keeps_gradients()) return;
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
  /// Makes parameters follow masters that were overwritten, where they are copies or whole. Collective.
  void refresh(Comm& world) {
    if constexpr (!how::shards_params) {
      for (int g = 0; g < num_groups; ++g) {
        if (per(g) == 0) continue;
        if constexpr (Plan::has_masters)
          copy_converted(device_, per(g), static_cast<const M*>(own_masters(g)), own_copies(g));
        all_gather(axes_.shard(world), g);
      }
      settle(world);
    }
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

  Wire<Plan, Comm> wire_;
  bool first_ = true;
};

}  // namespace cohort::detail
