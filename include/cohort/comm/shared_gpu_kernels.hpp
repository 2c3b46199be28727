// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/shared_gpu_kernels.hpp: the sum over ranks whose arrays lie on one GPU.
#pragma once
#include <cohort/comm/sum.hpp>
#include <cohort/core/host_device.hpp>
#include <cohort/device/cuda/launch.hpp>
#include <cohort/device/cuda/pack.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

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

  /// Blocks that keep every thread busy, without more than a GPU holds at once by far.
  int blocks() const {
    const std::size_t per_block = static_cast<std::size_t>(threads * (packed ? pack : 1));
    return static_cast<int>(std::min<std::size_t>((count + per_block - 1) / per_block, 2048));
  }

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const auto self = static_cast<std::size_t>(block.index()) * threads +
                      static_cast<std::size_t>(block.thread());
    const auto all = static_cast<std::size_t>(block.count()) * threads;
    const std::size_t packs = packed ? count / pack : 0;
    for (std::size_t i = self; i < packs; i += all) write<pack>(i * pack);
    for (std::size_t i = packs * pack + self; i < count; i += all) write<1>(i);
  }

 private:
  template <int N> using Wide = Pack<accumulator_t<T>, N>;

  template <int N> COHORT_DEVICE static Wide<N> added(const Wide<N>& a, const Wide<N>& b) {
    Wide<N> sum;
    unrolled<N>([&](auto i) { sum[i] = cohort::detail::plus(a[i], b[i]); });
    return sum;
  }

  /// The tree of comm/sum.hpp, met from left to right: as ranks are counted in binary, a carry joins
  /// two sums of 2^k ranks. What is left in the end is joined from the right.
  template <int N> COHORT_DEVICE void write(std::size_t i) const {
    Wide<N> level[Levels] = {};
    for (int r = 0; r < ranks; ++r) {
      Wide<N> carry = widen(load<N>(in[r] + i));
      bool carries = true;
      unrolled<Levels>([&](auto k) {
        const bool taken = (r >> k & 1) != 0;
        if (carries && taken) carry = added<N>(level[k], carry);
        if (carries && !taken) level[k] = carry;
        carries = carries && taken;
      });
    }
    Wide<N> sum{};
    int joined = 0;
    unrolled<Levels>([&](auto k) {
      if ((ranks >> k & 1) != 0) sum = joined++ == 0 ? level[k] : added<N>(level[k], sum);
    });
    const Pack<T, N> rounded = narrow<T>(sum);
    // What has been reduced is read when all of it is; and of a plain store nvcc makes four here.
    for (int r = 0; r < num_outs; ++r) store_once(out[r] + i, rounded);
  }
};

}  // namespace cohort::cuda
