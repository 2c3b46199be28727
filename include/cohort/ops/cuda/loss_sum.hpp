// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/loss_sum.hpp: the losses of rows, added to (sum, weight) in a fixed order.
#pragma once
#include <cohort/ops/cuda/reduce.hpp>
#include <cohort/ops/loss_sum.hpp>
#include <cstdint>

namespace cohort::ops::kernels {

/// loss[0] += the sum of of_row[rows]; loss[1] += rows * of_each, or without `ignored` ones when there are
/// targets. One block: thread t adds rows t, t + 1024, ... in order, then threads add up in a tree.
struct SumLosses {
  static constexpr int threads = 1024, warps = threads / warp_size;
  struct Shared {
    double of_warp[warps];
  };
  int rows;
  const double* of_row;
  const std::int32_t* targets;  // or nullptr
  std::int32_t ignored;
  double of_each;
  double* loss;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    double sum = 0, count = 0;
    for (int row = block.thread(); row < rows; row += threads) {
      if (targets != nullptr && targets[row] == ignored) continue;
      sum += of_row[row];
      count += 1;
    }
    sum = over_warps<warps>(block, over_warp(block, sum, Sum{}), shared.of_warp, Sum{});
    count = over_warps<warps>(block, over_warp(block, count, Sum{}), shared.of_warp, Sum{});
    if (block.thread() != 0) return;
    loss[0] += sum;
    loss[1] += count * of_each;
  }
};

/// A factor given by the host, or one in device memory: 1 where it is nullptr.
template <class A, class Scale> COHORT_DEVICE inline A scale_of(Scale scale) {
  if constexpr (std::is_pointer_v<Scale>)
    return scale == nullptr ? A(1) : static_cast<A>(*scale);
  else
    return static_cast<A>(scale);
}

}  // namespace cohort::ops::kernels
