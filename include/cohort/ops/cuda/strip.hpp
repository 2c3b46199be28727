// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/strip.hpp: columns of a matrix, as blocks of threads sum or scale them.
#pragma once
#include <cohort/ops/cuda/reduce.hpp>
#include <cstddef>

namespace cohort::ops::kernels {

/// A block of threads over the rows of one part, in a strip of columns: a lane has a pack of N of them, warp w
/// takes rows w, w + 8, ..., four in flight; then the warps' sums are added in order.
///
/// Shapes   matrices of T are [rows, C]; a part has `each` rows, the last perhaps fewer.
template <int C, class T> struct Strip {
  using A = accumulator_t<T>;
  static constexpr int N = pack_size<C, T>(), columns = N * warp_size;
  static constexpr int threads = 256, warps = threads / warp_size, together = 4;
  static constexpr int count = ceil_div(C, columns);
  static_assert(columns <= threads);
  using Sums = A[warps][columns];

  int part, first;  // the block's part, and its first column
  int column;       // the lane's first, perhaps beyond C
  int begin, end;   // rows of the part

  template <class Block>
  COHORT_DEVICE Strip(const Block& block, int rows, int each)
      : part(block.index() / count),
        first(block.index() % count * columns),
        column(first + block.lane() * N),
        begin(part * each),
        end(rows - begin < each ? rows : begin + each) {}

  /// f(row, packs) for this thread's rows of the part: of each of `Num` matrices the pack at its column.
  template <int Num, class Block, class F>
  COHORT_DEVICE void for_rows(const Block& block, const T* const (&from)[Num], F f) const {
    if (column >= C) return;
    const auto read = [&](int row, Pack<T, N>(&packs)[Num]) {
      unrolled<Num>([&](auto i) {
        packs[i] = load<N>(from[i] + static_cast<std::size_t>(row) * C + column);
      });
    };
    int row = begin + block.warp();
    for (; row + (together - 1) * warps < end; row += together * warps) {
      Pack<T, N> packs[together][Num];
      unrolled<together>([&](auto k) { read(row + k * warps, packs[k]); });
      unrolled<together>([&](auto k) { f(row + k * warps, packs[k]); });
    }
    for (; row < end; row += warps) {
      Pack<T, N> packs[1][Num];
      read(row, packs[0]);
      f(row, packs[0]);
    }
  }
  /// done(column, total) for the columns of the strip that are there, by one thread each.
  template <class Block, class Done>
  COHORT_DEVICE void over_warps(const Block& block, const Pack<A, N>& sum, Sums& of_warp,
                                Done done) const {
    store(of_warp[block.warp()] + block.lane() * N, sum);
    block.sync();
    const int i = block.thread();
    if (i >= columns || first + i >= C) return;
    A total = of_warp[0][i];
    for (int w = 1; w < warps; ++w) total += of_warp[w][i];
    done(first + i, total);
  }
};

/// A block for each strip of each part.
template <class K> void launch_strips(const Cuda& device, int parts, const K& kernel) {
  cohort::cuda::launch(device, parts * K::Strip::count, kernel);
}

}  // namespace cohort::ops::kernels
