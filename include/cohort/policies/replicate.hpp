// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/replicate.hpp: every rank holds everything; gradients are summed bucket by
// bucket.
#pragma once
#include <cohort/core/arena.hpp>
#include <cohort/optim/shard.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/policies/data_parallel.hpp>
#include <cstring>

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
    Program<Plan::buckets.count + 1> p;
    if constexpr (is_last(M)) {
      using markers = typename Plan::markers;
      for (int b = 0; b < Plan::buckets.count; ++b) {
        const Bucket& bucket = Plan::buckets[b];
        p.add({OpKind::all_reduce, b, markers::backward_ended(bucket.unit), bucket.count(),
               dtype_of<typename Plan::scalar>});
      }
      p.add({OpKind::loss, 0, markers::backward_ended(0), 2, DType::f64});
    }
    return p;
  }

  template <class Plan> static constexpr PersistentBytes persistent_bytes(int) {
    const std::size_t each = Plan::layout.size * sizeof(typename Plan::scalar);
    const std::size_t frozen = Plan::layout.frozen * sizeof(typename Plan::scalar);
    return {.parameters = each + frozen,
            .gradients = each,
            .optimizer = each * Plan::slots::optimizer::moments,
            .tables = round_up(Plan::layout.size / chunk, alignment),
            .frozen = frozen};
  }

  /// Owns one rank's parameters, gradients and moments, and runs the strategy's collectives on
  /// them.
  template <class Plan, class Comm> class Storage {
   public:
    using T = typename Plan::scalar;
    explicit Storage(Comm& world)
        : params_(bytes(world).parameters),
          grads_(bytes(world).gradients),
          moments_(bytes(world).optimizer) {}

    /// Where a unit's parameters and gradients are now.
    T* param(int unit) const { return params() + Plan::layout.units[unit].offset; }
    T* frozen(int unit) const { return params() + Plan::layout.units[unit].frozen_offset; }
    T* grad(int unit) const { return grads() + Plan::layout.units[unit].offset; }

    /// The range that this rank's optimizer updates: all of it.
    static constexpr std::size_t size() { return Plan::layout.size; }
    template <class F> void for_each_shard(const std::uint8_t* decays, F f) const {
      f(Shard<T>{params(), grads(), moments_.template as<T>(), decays, size(), size()});
    }
    /// Where the element at `offset` of the flat order stands in that range: every element is here.
    static constexpr std::ptrdiff_t local(std::size_t offset, int) {
      return static_cast<std::ptrdiff_t>(offset);
    }
    T* params() const { return params_.template as<T>(); }
    T* grads() const { return grads_.template as<T>(); }
    T* param_at(const ParamInfo& p, std::size_t k) const { return params() + p.offset + k; }
    /// Every rank sees the whole reduced gradient, so its norm needs no exchange.
    static constexpr bool norm_is_partial = false;
    static constexpr bool restarts_gradients = false;

    void run(const Op& op, Comm& comm) const {
      const Bucket& bucket = Plan::buckets[op.id];
      comm.all_reduce(grads() + bucket.begin, bucket.count());
    }
    static void gather(int, Comm&) {}
    static void zero_padding(int) {}
    static void begin_micro_batch(bool) {}
    /// Makes all ranks start from rank 0's parameters.
    template <class C> void broadcast(C& comm) const { comm.broadcast(params(), whole, 0); }
    template <class C> void collect(C&, bool gradients, T* flat) const {
      if (flat == nullptr) return;
      std::memcpy(flat, gradients ? grads() : params(), (gradients ? size() : whole) * sizeof(T));
    }

   private:
    static constexpr std::size_t whole = Plan::layout.size + Plan::layout.frozen;
    static PersistentBytes bytes(const Comm& world) { return persistent_bytes<Plan>(world.size()); }
    HostMemory params_, grads_, moments_;
  };
};

static_assert(Policy<DataParallel<Replicate>>);

}  // namespace cohort
