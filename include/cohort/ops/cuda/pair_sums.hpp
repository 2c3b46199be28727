// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/pair_sums.hpp: an array added to those that wait for it, on a GPU.
#pragma once
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/pair_sums.hpp>
#include <cstddef>

namespace cohort::ops {

namespace kernels {

/// A thread has two packs in flight from every array.
template <int N, class T> struct PairSums {
  static constexpr int threads = 256, packs = 2;
  static constexpr std::size_t step = std::size_t{threads} * N, tile = step * packs;
  struct Shared {};
  std::size_t n;
  const T* sums;
  std::size_t stride;
  int count;
  const T* newest;
  T* out;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const auto thread = static_cast<std::size_t>(block.thread());
    const std::size_t first = static_cast<std::size_t>(block.index()) * tile + thread * N;
    Pack<T, N> right[packs] = {};
    unrolled<packs>([&](auto p) {
      const std::size_t i = first + p * step;
      if (i + N <= n) right[p] = load<N>(newest + i);
    });
    for (int k = count - 1; k >= 0; --k) {
      const T* left = sums + static_cast<std::size_t>(k) * stride;
      unrolled<packs>([&](auto p) {
        const std::size_t i = first + p * step;
        if (i + N > n) return;
        const Pack<T, N> add = load<N>(left + i);
        unrolled<N>([&](auto e) { right[p][e] = add[e] + right[p][e]; });
      });
    }
    unrolled<packs>([&](auto p) {
      const std::size_t i = first + p * step;
      if (i + N <= n) store(out + i, right[p]);
    });
    const std::size_t rest = n / N * N + thread;  // what is left of the last pack
    if (block.index() == block.count() - 1 && rest < n) {
      T sum = newest[rest];
      for (int k = count - 1; k >= 0; --k)
        sum = sums[static_cast<std::size_t>(k) * stride + rest] + sum;
      out[rest] = sum;
    }
  }
};

}  // namespace kernels

/// The tree's order, element by element.
template <class T>
void add_pairs(const Cuda& device, std::size_t n, const T* sums, std::size_t stride, int count,
               const T* newest, T* out) {
  constexpr int N = kernels::pack_size<64, T>();
  if (kernels::aligned(16, sums, newest, out) && stride % N == 0)
    kernels::launch_tiles(device, kernels::PairSums<N, T>{n, sums, stride, count, newest, out});
  else
    kernels::launch_tiles(device, kernels::PairSums<1, T>{n, sums, stride, count, newest, out});
}

}  // namespace cohort::ops
