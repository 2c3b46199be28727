// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/reduce.hpp: rows laid over threads, and sums and maxima over them in a fixed order.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/device/cuda/launch.hpp>
#include <cohort/device/cuda/pack.hpp>
#include <cstddef>

namespace cohort::ops::kernels {

using cohort::cuda::load;
using cohort::cuda::narrow;
using cohort::cuda::Pack;
using cohort::cuda::pack_size;
using cohort::cuda::store;
using cohort::cuda::unrolled;
using cohort::cuda::warp_size;
using cohort::cuda::widen;

constexpr int ceil_div(int n, int by) { return n / by + (n % by != 0); }
constexpr std::size_t ceil_div(std::size_t n, std::size_t by) { return (n + by - 1) / by; }

/// a * b rounded by itself: nvcc fuses a product that is added, and what is fused may change from one
/// kernel to the next. Sums of products that shall be fused call fma.
template <class A> COHORT_DEVICE inline A product(A a, A b) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(A) == 4)
    return __fmul_rn(a, b);
  else
    return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

struct Sum {
  template <class A> COHORT_HOST_DEVICE constexpr A operator()(A a, A b) const { return a + b; }
};
/// A NaN loses against anything: what is summed beside the maximum shows it.
struct Max {
  template <class A> COHORT_HOST_DEVICE constexpr A operator()(A a, A b) const {
    return a < b ? b : a;
  }
};

/// f over the lanes of a warp, as a butterfly: every lane gets the same bits when f is commutative.
template <class Block, class A, class F>
COHORT_DEVICE inline A over_warp(const Block& block, A value, F f) {
  for (int mask = warp_size / 2; mask > 0; mask /= 2)
    value = f(value, block.shuffle_xor(value, mask));
  return value;
}

/// f over the first lane's value of every warp of a block of Warps, in order. All threads get it.
template <int Warps, class Block, class A, class F>
COHORT_DEVICE inline A over_warps(const Block& block, A value, A (&of_warp)[Warps], F f) {
  if constexpr (Warps == 1) {
    return value;
  } else {
    if (block.lane() == 0) of_warp[block.warp()] = value;
    block.sync();
    A all = of_warp[0];
    for (int w = 1; w < Warps; ++w) all = f(all, of_warp[w]);
    block.sync();
    return all;
  }
}

/// Rows of C elements over threads: a warp a row while its registers can hold the row, else a block.
///
/// Units    packs of N elements; thread t of a row has its packs t, t + per_row, ... : `each` of them.
template <int C, int N> struct RowShape {
  static constexpr int packs = C / N;
  static constexpr int per_row = C <= 1024    ? 32
                                 : C <= 4096  ? 128
                                 : C <= 8192  ? 256
                                 : C <= 16384 ? 512
                                              : 1024;
  static constexpr int threads = per_row < 256 && per_row == warp_size ? 256 : per_row;
  static constexpr int rows = threads / per_row;     // of a block
  static constexpr int warps = per_row / warp_size;  // of a row
  static constexpr int each = ceil_div(packs, per_row);
  static_assert(C % N == 0);

  template <class Block> COHORT_DEVICE static int thread(const Block& block) {
    return block.thread() % per_row;
  }
  /// The row of this thread, when blocks take rows in order.
  template <class Block> COHORT_DEVICE static int row(const Block& block) {
    return block.index() * rows + block.thread() / per_row;
  }
  /// f(k, c): the thread's pack k begins at element c. k is a constant.
  template <class F> COHORT_DEVICE static void for_packs(int thread, F f) {
    unrolled<each>([&](auto k) {
      const int pack = k * per_row + thread;
      if (packs % per_row == 0 || pack < packs) f(k, pack * N);
    });
  }
  /// f over all threads of the row. Every thread of the row's warps takes part.
  template <class Block, class A, class F>
  COHORT_DEVICE static A over_row(const Block& block, A value, A (&of_warp)[warps], F f) {
    return over_warps<warps>(block, over_warp(block, value, f), of_warp, f);
  }
};

}  // namespace cohort::ops::kernels
