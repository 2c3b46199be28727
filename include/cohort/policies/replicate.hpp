// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/replicate.hpp: every rank holds everything; gradients are summed bucket by
// bucket.
#pragma once
#include <cohort/core/arena.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/policies/data_parallel.hpp>

namespace cohort {

/// The classic data-parallel strategy (PyTorch DDP): parameters, gradients and optimizer state on
/// every rank.
///
/// Shapes   parameters, gradients, moments: [layout.size] each, forward order, chunks of 64.
/// Comm     one all-reduce a bucket on the last micro-batch, overlapped with backward, then one of
///          the loss's (sum, weight). Bytes a step and rank: 2 (N-1)/N of the gradient.
/// Laws     N ranks == one rank on the concatenated batch within rounding; N = 1 bit for bit
///          (tests/policies/replicate_test.cpp).
/// Source   Li et al. 2020, arXiv:2006.15704.
struct Replicate {
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
    return {.parameters = each,
            .gradients = each,
            .optimizer = each * Plan::slots::optimizer::moments,
            .tables = round_up(Plan::layout.size / chunk, alignment)};
  }

  /// Owns one rank's parameters, gradients and moments, and runs the strategy's collectives on
  /// them.
  template <class Plan> class Storage {
   public:
    using T = typename Plan::scalar;
    explicit Storage(int ranks)
        : params_(bytes(ranks).parameters),
          grads_(bytes(ranks).gradients),
          moments_(bytes(ranks).optimizer) {}

    /// Where a unit's parameters and gradients are now.
    T* param(int unit) const { return params_.template as<T>() + Plan::layout.units[unit].offset; }
    T* grad(int unit) const { return grads_.template as<T>() + Plan::layout.units[unit].offset; }

    /// The range that this rank's optimizer updates: all of it. Moment i begins at moments() + i *
    /// size().
    static constexpr std::size_t size() { return Plan::layout.size; }
    T* shard() const { return params_.template as<T>(); }
    T* shard_grad() const { return grads_.template as<T>(); }
    T* moments() const { return moments_.template as<T>(); }
    /// Where the element at `offset` of the flat order is in shard(); every element is here.
    static constexpr std::ptrdiff_t local(std::size_t offset) {
      return static_cast<std::ptrdiff_t>(offset);
    }
    /// Every rank sees the whole reduced gradient, so its norm needs no exchange.
    static constexpr bool norm_is_partial = false;

    template <class Comm> void run(const Op& op, Comm& comm) const {
      const Bucket& bucket = Plan::buckets[op.id];
      comm.all_reduce(shard_grad() + bucket.begin, bucket.count());
    }
    /// Makes all ranks start from rank 0's parameters.
    template <class Comm> void broadcast(Comm& comm) const { comm.broadcast(shard(), size(), 0); }

   private:
    static constexpr PersistentBytes bytes(int ranks) { return persistent_bytes<Plan>(ranks); }
    HostMemory params_, grads_, moments_;
  };
};

static_assert(Policy<DataParallel<Replicate>>);

}  // namespace cohort
