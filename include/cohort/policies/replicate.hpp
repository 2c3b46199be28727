// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/replicate.hpp: every rank holds everything; gradients are summed bucket by
// bucket.
#pragma once
#include <cohort/core/arena.hpp>
#include <cohort/optim/shard.hpp>
#include <cohort/plan/held.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/policies/data_parallel.hpp>
#include <cohort/policies/edited.hpp>
#include <cohort/policies/wire.hpp>

namespace cohort {

/// The classic data-parallel strategy (PyTorch DDP): parameters, gradients and optimizer state on
/// every rank.
///
/// Shapes   parameters, gradients, moments: [layout.size] each, forward order, chunks of 64; frozen
///          parameters behind the others.
/// Comm     one all-reduce a bucket on the last micro-batch, overlapped with backward, then one of
///          the loss's (sum, weight). Bytes a step and rank: 2 (N-1)/N of the gradient.
/// Laws     N ranks == one rank on the concatenated batch within rounding; N = 1 bit for bit
///          (tests/policies/replicate_test.cpp).
/// Source   Li et al. 2020, arXiv:2006.15704.
struct Replicate {
  static constexpr bool shards_gradients = false, shards_params = false;
  static constexpr int shard_ranks = 0;

  template <class Plan, MicroBatch M> static constexpr auto program() {
    Program<Plan::buckets.count + 2> p;
    if constexpr (is_last(M)) {
      using markers = typename Plan::markers;
      for (int b = 0; b < Plan::buckets.count; ++b) {
        const Bucket& bucket = Plan::buckets[b];
        p.add({OpKind::all_reduce, b, markers::backward_ended(bucket.unit), bucket.count(),
               dtype_of<typename Plan::reduce>});
      }
      add_sums<Plan>(p);
    }
    return p;
  }

  template <class Plan> static constexpr PersistentBytes persistent_bytes(int, bool) {
    constexpr std::size_t size = Plan::layout.size, C = sizeof(typename Plan::compute);
    constexpr std::size_t D = sizeof(typename Plan::gradient);
    return {.parameters = (size + Plan::layout.frozen) * C,
            .gradients = size * D,
            .optimizer = size * D * Plan::slots::optimizer::moments,
            .tables = Plan::table_bytes(size),
            .frozen = Plan::layout.frozen * C,
            .masters = Plan::has_masters ? size * sizeof(typename Plan::master) : 0,
            .wire = detail::WireSize<Plan>::bytes(largest_bucket<Plan>())};
  }

  /// Owns one rank's parameters, gradients and moments, and runs the strategy's collectives on
  /// them.
  template <class Plan, class Comm> class Storage {
   public:
    using C = typename Plan::compute;
    using M = typename Plan::master;
    using D = typename Plan::gradient;
    using Device = typename Plan::device;
    /// `device` is where collectives and what goes with them run.
    Storage(Comm& comm, const Device& device)
        : device_(device),
          params_(bytes(comm).parameters),
          masters_(bytes(comm).masters),
          grads_(bytes(comm).gradients),
          moments_(bytes(comm).optimizer),
          world_{comm.size(), comm.rank()},
          wire_(device, largest_bucket<Plan>(), comm.size()) {
      if constexpr (Plan::casts_reductions)
        wire_.announce_to(comm);
      else
        detail::announce(comm, grads_);
    }

    /// Where a unit's parameters and gradients are now.
    C* param(int unit) const { return params() + Plan::layout.units[unit].offset; }
    C* frozen(int unit) const { return params() + Plan::layout.units[unit].frozen_offset; }
    D* grad(int unit) const { return grads() + Plan::layout.units[unit].offset; }

    /// The range that this rank's optimizer updates: all of it; and the parameters that follow it, where
    /// they are copies.
    static constexpr std::size_t size() { return Plan::layout.size; }
    template <class F> void for_each_shard(const std::uint8_t* decays, F f) const {
      f(Shard<M>{masters(), grads(), moments_.template as<D>(), decays, size(), size()},
        Plan::has_masters ? params() : nullptr);
    }
    /// Where the element at `offset` of the flat order stands in that range: every element is here.
    static constexpr std::ptrdiff_t local(std::size_t offset, int) {
      return static_cast<std::ptrdiff_t>(offset);
    }
    C* params() const { return params_.template as<C>(); }
    M* masters() const {
      if constexpr (Plan::has_masters)
        return masters_.template as<M>();
      else
        return params();
    }
    D* grads() const { return grads_.template as<D>(); }
    static constexpr bool holds(const ParamInfo&, std::size_t) { return true; }
    /// Sets one element of a parameter; only inside edit().
    void write(const ParamInfo& p, std::size_t k, float value) const {
      if constexpr (Plan::has_masters)
        if (p.trains) *masters_.host(masters() + p.offset + k) = M(value);
      *params_.host(params() + p.offset + k) = C(value);
    }
    template <class F> void edit(F f) {
      params_.open(device_);
      masters_.open(device_);
      f();
      params_.close(device_);
      masters_.close(device_);
    }
    /// What checkpoints are cut by, as in ShardedMemory: every rank holds everything.
    static constexpr std::size_t frozen_size() { return Plan::layout.frozen; }
    Copies copies() const { return world_; }
    Copies frozen_copies() const { return world_; }
    template <class F> void for_each_held(F f) const {
      for_each_whole_run(Plan::layout, true, [&](const HeldRun& run) {
        f(run, masters() + run.local, moments_.template as<D>() + run.local);
      });
    }
    template <class F> void for_each_held_frozen(F f) const {
      for_each_whole_run(Plan::layout, false,
                         [&](const HeldRun& run) { f(run, params() + size() + run.local); });
    }
    /// Every rank sees the whole reduced gradient, so its norm needs no exchange.
    static constexpr bool norm_is_partial = false;
    static constexpr bool restarts_gradients = false;

    void run(const Op& op, Comm& comm) const {
      const Bucket& bucket = Plan::buckets[op.id];
      wire_.all_reduce(comm, grads() + bucket.begin, bucket.count());
    }
    static void gather(int, Comm&) {}
    static void zero_padding(const Device&, int) {}
    static void begin_micro_batch(bool) {}
    /// Makes all ranks start from rank 0's parameters.
    template <class W> void broadcast(W& comm) const {
      if constexpr (!Plan::has_masters) return comm.broadcast(params(), whole, 0);
      comm.broadcast(masters(), size(), 0);
      detail::copy_converted(device_, size(), static_cast<const M*>(masters()), params());
      if (whole > size()) comm.broadcast(params() + size(), whole - size(), 0);
    }
    /// Makes parameters follow masters that were overwritten.
    template <class W> void refresh(W& comm) const {
      if constexpr (Plan::has_masters)
        detail::copy_converted(device_, size(), static_cast<const M*>(masters()), params());
      detail::settle(comm);
    }
    template <class W> void collect(W&, bool gradients, float* flat) const {
      if (flat == nullptr) return;
      if (gradients)
        return detail::fetch_converted(device_, size(), static_cast<const D*>(grads()), flat);
      detail::fetch_converted(device_, size(), static_cast<const M*>(masters()), flat);
      detail::fetch_converted(device_, whole - size(), static_cast<const C*>(params()) + size(),
                              flat + size());
    }

   private:
    static constexpr std::size_t whole = Plan::layout.size + Plan::layout.frozen;
    static PersistentBytes bytes(const Comm& world) {
      return persistent_bytes<Plan>(world.size(), false);
    }
    [[no_unique_address]] Device device_;
    detail::Edited<Device> params_, masters_;
    detail::ExchangedMemory<Comm, Device> grads_;
    typename Device::Memory moments_;
    Copies world_;
    detail::Wire<Plan, Comm> wire_;
  };

 private:
  template <class Plan> static constexpr std::size_t largest_bucket() {
    std::size_t most = 0;
    for (int b = 0; b < Plan::buckets.count; ++b)
      most = Plan::buckets[b].count() > most ? Plan::buckets[b].count() : most;
    return most;
  }
};

static_assert(Policy<DataParallel<Replicate>>);

}  // namespace cohort
