// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/reproducible.hpp: the bits of a fixed number of ranks, on fewer of them.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cohort/core/refused.hpp>

namespace cohort {

/// What Reproducible asks of its number.
template <int R>
concept AtLeastOneRank = (R >= 1);

namespace detail {
template <int R> struct NoRank {
  static void say() {
    static_assert(AtLeastOneRank<R>,
                  "cohort: Reproducible<R> has the bits of R ranks, and needs at least one. Write "
                  "the most ranks that the training will have, such as Reproducible<8>. "
                  "[cohort/policies/reproducible.hpp]");
  }
};
}  // namespace detail

/// Chosen only when R is below one: says so in one sentence, then stops.
template <int R> struct Reproducible {
  static_assert(detail::said<detail::NoRank<R>>());
  using slot = slots::order;
  static constexpr int ranks = 0;
  static constexpr bool in_tree_order = true;
};

/// Trains with the bits of R ranks on R, R / 2, R / 4, ... of them. Each of N ranks does the parts of R / N
/// neighbouring ones, one micro-batch each (GradAccum<K>: K), and adds their gradients, losses and
/// sums of averages in the order in which those ranks would: pairs, pairs of pairs, and so on.
///
/// Shapes   part p of rank r are its rows p batch N / R and those that follow: what rank r R / N + p of R
///          ranks has. data::epochs deals them out so with .as_ranks = R; data::RandomWindows always does.
/// Comm     what DataParallel does, once a step.
/// Cost     log2(R / N) times the whole gradient (plan.memory(...).partial_sums), and reading it again;
///          strategies that shard gradients keep them whole, as under GradAccum. On R ranks only a copy of
///          inputs that are features.
/// Errors   compile time: R < 1; ReduceEach; reductions in another type than gradients have; HybridShard<S>
///          for S no power of two; a communicator that has an order of its own. Before step 0: InvalidInput when R / N
///          is no power of two, or batch no multiple of it.
/// Laws     parameters, loss, norm and averages are bit for bit those of R ranks, under every strategy, for
///          Threads, Mpi and (as under TreeOrder) Nccl, also when a checkpoint goes on with another N (tests/policies/reproducible_test.cpp).
///          evaluate() adds up in an order that depends on N.
template <int R>
requires AtLeastOneRank<R>
struct Reproducible<R> {
  using slot = slots::order;
  static constexpr int ranks = R;
  static constexpr bool in_tree_order = true;
};

static_assert(Policy<Reproducible<8>>);

}  // namespace cohort
