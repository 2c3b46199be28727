// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/pair_sums.hpp: an array added to those that wait for it, in the order of a tree of pairs.
#pragma once
#include <algorithm>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>

namespace cohort::ops {

/// out = sums[0] + (sums[1] + ... (sums[count - 1] + newest)), sums[k] being the n elements at sums + k
/// stride: a leaf of a binary tree completes `count` pairs. `out` may be newest or sums.
///
/// Shapes   count >= 1.
/// Cost     count + 1 reads and one write of each element; partial sums stay in cache.
/// Laws     the bits of adding one array after the other; elements do not meet.
template <class G, class T>
void add_pairs(const Cpu<G>&, std::size_t n, const T* sums, std::size_t stride, int count,
               const T* newest, T* out) {
  constexpr std::size_t block = 512;
  const auto plus = [](auto u, auto v) { return u + v; };
  T sum[block];
  for (std::size_t at = 0; at < n; at += block) {
    const std::size_t some = std::min(block, n - at);
    const T* right = newest + at;
    for (int k = count - 1; k > 0; --k) {
      map(some, plus, sum, sums + static_cast<std::size_t>(k) * stride + at, right);
      right = sum;
    }
    map(some, plus, out + at, sums + at, right);
  }
}

// The same on a GPU: ops/cuda/pair_sums.hpp.
template <class T>
void add_pairs(const Cuda&, std::size_t n, const T* sums, std::size_t stride, int count,
               const T* newest, T* out);

}  // namespace cohort::ops
