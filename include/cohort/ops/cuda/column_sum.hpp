// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/column_sum.hpp: sums over rows on a GPU, the gradient of a bias.
#pragma once
#include <cohort/ops/column_sum.hpp>
#include <cohort/ops/cuda/partials.hpp>
#include <cstddef>

namespace cohort::ops {

namespace kernels {

/// A block of threads over the rows of one part, in a strip of columns: a lane has a pack of N of them, warp w
/// takes rows w, w + 8, ..., four in flight; then the warps' sums are added in order.
template <int C, int N> struct Strip {
  static constexpr int columns = N * warp_size, count = ceil_div(C, columns);
  static constexpr int threads = 256, warps = threads / warp_size, together = 4;
  template <class A> using Sums = A[warps][columns];

  /// The part of block.index(), and the first column of its strip.
  template <class Block> COHORT_DEVICE static int part(const Block& block) {
    return block.index() / count;
  }
  template <class Block> COHORT_DEVICE static int first(const Block& block) {
    return block.index() % count * columns;
  }
  /// The rows of the block's part, when each part has so many.
  struct Range {
    int begin, end;
  };
  template <class Block>
  COHORT_DEVICE static Range rows_of(const Block& block, int rows, int each) {
    const int begin = part(block) * each;
    return {begin, rows - begin < each ? rows : begin + each};
  }
  /// f(row, packs) for this thread's rows in [begin, end): one pack of each matrix, the `Num` packs at
  /// its column.
  template <int Num, class Block, class T, class F>
  COHORT_DEVICE static void for_rows(const Block& block, int begin, int end,
                                     const T* const (&from)[Num], F f) {
    const int column = first(block) + block.lane() * N;
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
  template <class Block, class A, class Done>
  COHORT_DEVICE static void over_warps(const Block& block, const Pack<A, N>& sum, Sums<A>& of_warp,
                                       Done done) {
    store(of_warp[block.warp()] + block.lane() * N, sum);
    block.sync();
    for (int i = block.thread(); i < columns && first(block) + i < C; i += threads) {
      A total = of_warp[0][i];
      for (int w = 1; w < warps; ++w) total += of_warp[w][i];
      done(first(block) + i, total);
    }
  }
};

/// The first stage: the sums of one part's rows.
template <int C, class T> struct ColumnPartials {
  using A = accumulator_t<T>;
  static constexpr int N = pack_size<C, T>();
  using Strip = kernels::Strip<C, N>;
  static constexpr int threads = Strip::threads, strips = Strip::count;
  struct Shared {
    typename Strip::template Sums<A> of_warp;
  };
  int rows, rows_per_part;
  const T* dy;
  A* partials;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const auto own = Strip::rows_of(block, rows, rows_per_part);
    Pack<A, N> sum{};
    const T* const from[] = {dy};
    Strip::for_rows(block, own.begin, own.end, from, [&](int, const Pack<T, N>(&packs)[1]) {
      const auto wide = widen(packs[0]);
      unrolled<N>([&](auto i) { sum[i] += wide[i]; });
    });
    Strip::over_warps(block, sum, shared.of_warp, [&](int c, A total) {
      partials[static_cast<std::size_t>(Strip::part(block)) * C + static_cast<std::size_t>(c)] =
          total;
    });
  }
};

}  // namespace kernels

/// Cost     one read of dy, 2 C bytes a row in 16 bits; the partials stay in L2.
/// Laws     parts of rows (at most 256) are summed in fixed order, whatever the GPU.
template <int C, class T, class D>
void column_sum(const Cuda& device, int rows, const T* dy, D* db, bool first) {
  using K = kernels::ColumnPartials<C, T>;
  using A = typename K::A;
  const int parts = kernels::num_parts(rows, 64, 256, C * sizeof(A));
  A* partials = device.take<A>(static_cast<std::size_t>(parts) * C, "column_sum");
  const int rows_per_part = parts > 0 ? kernels::ceil_div(rows, parts) : 0;
  cohort::cuda::launch(device, parts * K::strips, K{rows, rows_per_part, dy, partials});
  kernels::sum_partials(device, parts, C, partials, db, first);
}

}  // namespace cohort::ops
