// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/tree_order.hpp: in which order gradients are added over ranks: the communicator's, or everywhere the same.
#pragma once
#include <cohort/concepts/policy.hpp>

namespace cohort {

/// The default of the slot: the order of the communicator. That of Threads and Mpi is the tree of comm/sum.hpp.
/// NCCL chooses one by the array's length, the machine and the number of ranks, and rounds 16-bit sums at every step.
struct Fastest {
  using slot = slots::order;
  static constexpr int ranks = 0;
  static constexpr bool in_tree_order = false;
};

/// The tree of comm/sum.hpp on every communicator, NCCL included: sums over ranks are accumulated in fp32, also those
/// that travel in 16 bits, and rounded once. Every strategy then gives the same bits on GPUs, too (HybridShard<S> for S a
/// power of two and reductions in fp32: it rounds twice).
///
/// Comm     over NCCL ranks exchange slices and each adds up its own (comm/cuda/in_tree_order.hpp): in one machine
///          the bytes of a ring, between machines of L GPUs L times those.
/// Cost     over NCCL plan.memory(...).exchange, the largest reduction's bytes, a kernel that reads them, and NCCL's own
///          buffers for each pair of ranks, which no plan counts; elsewhere nothing. Between machines it has to hide behind
///          compute (docs/decisions/0021-simulation.md).
/// Errors   compile time: a communicator that has an order of its own and no exchange_slices.
/// Laws     over NCCL the bits of Threads on one GPU, under every strategy (tests/run/cuda/tree_order_test.cpp).
/// Source   Megatron-Core's reduce_scatter_with_fp32_accumulation.
struct TreeOrder {
  using slot = slots::order;
  static constexpr int ranks = 0;
  static constexpr bool in_tree_order = true;
};

static_assert(Policy<Fastest> && Policy<TreeOrder>);

}  // namespace cohort
