// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/shared_gpu_kernels.hpp: the sum over ranks whose arrays lie on one GPU.
#pragma once
#include <cohort/comm/cuda/tree_sum.hpp>

#include <cstddef>

namespace cohort::cuda {

/// Adds up `count` elements of every rank's array and writes the sum to some or all ranks: each element
/// is read and written by one thread, so results may take the place of what was added.
///
/// Shapes   in[ranks], out[num_outs]: arrays of count elements; packed: all addresses are multiples of 16.
/// Cost     (ranks + num_outs) * sizeof(T) bytes per element, in accesses of 16 bytes where packed.
/// Laws     the bits of comm/sum.hpp, but for NaNs (tests/comm/shared_gpu_kernels_test.cpp).
template <Summable T, int Levels> struct SumRanks {
  static constexpr int threads = 256;
  static constexpr int max_ranks = 1 << (Levels - 1);
  static constexpr int pack = 16 / static_cast<int>(sizeof(T));
  struct Shared {};

  const T* in[max_ranks];
  T* out[max_ranks];
  int ranks, num_outs;
  std::size_t count;
  bool packed;

  /// Not more than a GPU holds at once by far.
  int blocks() const { return detail::blocks_for(count, threads, packed ? pack : 1, 2048); }

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    detail::for_each_piece<threads, pack>(block, count, packed, [&](std::size_t i, auto n) {
      const auto sum =
          detail::sum_of_ranks<T, Levels, n.value>(ranks, [&](int r) { return in[r] + i; });
      // What has been reduced is read when all of it is; and of a plain store nvcc makes four here.
      for (int r = 0; r < num_outs; ++r) store_once(out[r] + i, sum);
    });
  }
};

}  // namespace cohort::cuda
