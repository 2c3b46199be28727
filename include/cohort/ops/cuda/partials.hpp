// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/partials.hpp: the second stage of sums over rows: partial sums of blocks, added in order.
#pragma once
#include <algorithm>
#include <cohort/ops/cuda/reduce.hpp>
#include <cstddef>

namespace cohort::ops::kernels {

/// to[c] (+)= partials[0, c] + partials[1, c] + ... for `width` columns, the first half of the columns
/// to `to`, the others to `behind` when there are two; nullptr takes nothing.
///
/// Units    group g of sixteen adds partials g, g + 16, ...; then the groups are added in order.
/// Cost     one read of the partials, from L2.
template <class A, class D> struct SumPartials {
  static constexpr int columns = 32, groups = 16, threads = columns * groups;
  struct Shared {
    A of_group[groups][columns];
  };
  int count, width, half;
  const A* partials;
  D *to, *behind;
  bool first;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int lane = block.thread() % columns, group = block.thread() / columns;
    const int column = block.index() * columns + lane;
    A sum = 0;
    if (column < width)
      for (int i = group; i < count; i += groups)
        sum += partials[static_cast<std::size_t>(i) * static_cast<std::size_t>(width) +
                        static_cast<std::size_t>(column)];
    shared.of_group[group][lane] = sum;
    block.sync();
    if (group > 0 || column >= width) return;
    for (int g = 1; g < groups; ++g) sum += shared.of_group[g][lane];
    D* at = column < half ? to : behind;
    if (at == nullptr) return;
    at += column < half ? column : column - half;
    *at = static_cast<D>(first ? sum : static_cast<A>(*at) + sum);
  }
};

/// Into how many parts rows are cut: at least `least` rows a part, at most `most` parts, and partials
/// of `bytes` each in a workspace of 16 MiB. Nothing of the GPU enters: the order of sums is the same on all.
constexpr int num_parts(int rows, int least, int most, std::size_t bytes) {
  const std::size_t fit = std::max<std::size_t>((std::size_t{16} << 20) / bytes, 1);
  return std::min(
      {ceil_div(rows, least), most, static_cast<int>(std::min<std::size_t>(fit, 1 << 20))});
}

/// One vector of `width` columns, or two of half as many.
template <class A, class D>
void sum_partials(const Cuda& device, int count, int width, const A* partials, D* to, bool first) {
  using K = SumPartials<A, D>;
  cohort::cuda::launch(device, ceil_div(width, K::columns),
                       K{count, width, width, partials, to, nullptr, first});
}
template <class A, class D>
void sum_two_partials(const Cuda& device, int count, int half, const A* partials, D* to, D* behind,
                      bool first) {
  using K = SumPartials<A, D>;
  cohort::cuda::launch(device, ceil_div(2 * half, K::columns),
                       K{count, 2 * half, half, partials, to, behind, first});
}

}  // namespace cohort::ops::kernels
