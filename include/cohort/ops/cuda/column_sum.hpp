// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/column_sum.hpp: sums over rows on a GPU, the gradient of a bias.
#pragma once
#include <cohort/ops/column_sum.hpp>
#include <cohort/ops/cuda/partials.hpp>
#include <cohort/ops/cuda/strip.hpp>
#include <cstddef>

namespace cohort::ops {

namespace kernels {

/// The first stage: the sums of one part's rows.
template <int C, class T> struct ColumnPartials {
  using Strip = kernels::Strip<C, T>;
  using A = accumulator_t<T>;
  static constexpr int threads = Strip::threads;
  struct Shared {
    typename Strip::Sums of_warp;
  };
  int rows, rows_per_part;
  const T* dy;
  A* partials;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const Strip own(block, rows, rows_per_part);
    Pack<A, Strip::N> sum{};
    own.for_rows(block, {dy}, [&](int, const auto& packs) {
      const auto wide = widen(packs[0]);
      unrolled<Strip::N>([&](auto i) { sum[i] += wide[i]; });
    });
    A* const to = partials + static_cast<std::size_t>(own.part) * C;
    own.over_warps(block, sum, shared.of_warp, [&](int c, A total) { to[c] = total; });
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
  kernels::launch_strips(device, parts, K{rows, rows_per_part, dy, partials});
  kernels::sum_partials(device, parts, C, partials, db, first);
}

}  // namespace cohort::ops
