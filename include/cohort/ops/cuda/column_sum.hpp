// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/column_sum.hpp: sums over rows on a GPU, the gradient of a bias.
#pragma once
#include <cohort/ops/column_sum.hpp>
#include <cohort/ops/cuda/partials.hpp>
#include <cstddef>

namespace cohort::ops {

namespace kernels {

/// The first stage: a block adds the rows of one part in a strip of columns. Warp w takes rows w, w + 8,
/// ... of the part, four in flight; then the warps are added in order.
template <int C, class T> struct ColumnPartials {
  using A = accumulator_t<T>;
  static constexpr int N = pack_size<C, T>(), strip = N * warp_size, strips = ceil_div(C, strip);
  static constexpr int threads = 256, warps = threads / warp_size, together = 4;
  struct Shared {
    A of_warp[warps][strip];
  };
  int rows, rows_per_part;
  const T* dy;
  A* partials;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int part = block.index() / strips, begin = part * rows_per_part;
    const int end = rows - begin < rows_per_part ? rows : begin + rows_per_part;
    const int column = block.index() % strips * strip + block.lane() * N;
    Pack<A, N> sum{};
    if (column < C) add_rows(begin + block.warp(), end, dy + column, sum);
    store(shared.of_warp[block.warp()] + block.lane() * N, sum);
    block.sync();
    for (int i = block.thread(); i < strip; i += threads) {
      const int c = block.index() % strips * strip + i;
      if (c >= C) return;
      A total = shared.of_warp[0][i];
      for (int w = 1; w < warps; ++w) total += shared.of_warp[w][i];
      partials[static_cast<std::size_t>(part) * C + static_cast<std::size_t>(c)] = total;
    }
  }

 private:
  COHORT_DEVICE void add_rows(int row, int end, const T* from, Pack<A, N>& sum) const {
    const auto add = [&](const Pack<T, N>& pack) {
      const auto wide = widen(pack);
      unrolled<N>([&](auto i) { sum[i] += wide[i]; });
    };
    const auto at = [&](int r) { return load<N>(from + static_cast<std::size_t>(r) * C); };
    for (; row + (together - 1) * warps < end; row += together * warps) {
      Pack<T, N> packs[together];
      unrolled<together>([&](auto k) { packs[k] = at(row + k * warps); });
      unrolled<together>([&](auto k) { add(packs[k]); });
    }
    for (; row < end; row += warps) add(at(row));
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
