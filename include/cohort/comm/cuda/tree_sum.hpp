// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/cuda/tree_sum.hpp: on a GPU, sums over ranks in the tree of comm/sum.hpp.
#pragma once
#include <cohort/comm/sum.hpp>
#include <cohort/core/host_device.hpp>
#include <cohort/device/cuda/launch.hpp>
#include <cohort/device/cuda/pack.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>

namespace cohort::cuda {

namespace detail {

/// Blocks of so many threads that keep every thread busy, and no more than `most`.
constexpr int blocks_for(std::size_t count, int threads, int pack, std::size_t most) {
  const std::size_t per_block = static_cast<std::size_t>(threads * pack);
  return static_cast<int>(std::min<std::size_t>((count + per_block - 1) / per_block, most));
}

/// f(i, N) for each piece of N elements, from i on, that is this thread's: packs, then single elements.
template <int threads, int pack, class Block, class F>
COHORT_DEVICE inline void for_each_piece(const Block& block, std::size_t count, bool packed,
                                         const F& f) {
  const auto self =
      static_cast<std::size_t>(block.index()) * threads + static_cast<std::size_t>(block.thread());
  const auto all = static_cast<std::size_t>(block.count()) * threads;
  const std::size_t packs = packed ? count / pack : 0;
  for (std::size_t i = self; i < packs; i += all) f(i * pack, std::integral_constant<int, pack>{});
  for (std::size_t i = packs * pack + self; i < count; i += all)
    f(i, std::integral_constant<int, 1>{});
}

template <class A, int N>
COHORT_DEVICE inline Pack<A, N> added(const Pack<A, N>& a, const Pack<A, N>& b) {
  Pack<A, N> sum;
  unrolled<N>([&](auto i) { sum[i] = cohort::detail::plus(a[i], b[i]); });
  return sum;
}

/// The sum of N elements at each of at(first), ..., at(first + Span - 1), Span a power of two: loads first, so that
/// they are under way together.
template <class T, int N, int Span, class At>
COHORT_DEVICE inline Pack<accumulator_t<T>, N> sum_of_span(const At& at, int first) {
  if constexpr (Span == 1)
    return widen(load<N>(at(first)));
  else
    return added(sum_of_span<T, N, Span / 2>(at, first),
                 sum_of_span<T, N, Span / 2>(at, first + Span / 2));
}

/// The sum of N elements at each of at(0), ..., at(ranks - 1), of less than 2^Levels ranks. The tree is met from left
/// to right, eight ranks at a time: as eights are counted in binary, a carry joins two sums of 2^k of them. What is
/// left in the end is joined from the right. 16-bit types are added in fp32 and rounded once.
template <class T, int Levels, int N, class At>
COHORT_DEVICE inline Pack<T, N> sum_of_ranks(int ranks, const At& at) {
  using Wide = Pack<accumulator_t<T>, N>;
  Wide level[Levels - 3] = {};
  for (int eights = 0; eights < ranks / 8; ++eights) {
    Wide carry = sum_of_span<T, N, 8>(at, 8 * eights);
    bool carries = true;
    unrolled<Levels - 3>([&](auto k) {
      const bool taken = (eights >> k & 1) != 0;
      if (carries && taken) carry = added(level[k], carry);
      if (carries && !taken) level[k] = carry;
      carries = carries && taken;
    });
  }
  Wide sum{};
  bool joined = false;
  const auto join = [&](const Wide& left) {
    sum = joined ? added(left, sum) : left;
    joined = true;
  };
  if ((ranks & 1) != 0) join(sum_of_span<T, N, 1>(at, ranks - 1));
  if ((ranks & 2) != 0) join(sum_of_span<T, N, 2>(at, ranks & ~3));
  if ((ranks & 4) != 0) join(sum_of_span<T, N, 4>(at, ranks & ~7));
  unrolled<Levels - 3>([&](auto k) {
    if ((ranks >> (k + 3) & 1) != 0) join(level[k]);
  });
  return narrow<T>(sum);
}

}  // namespace detail

/// out = the sum over ranks of slices that lie one after the other, but for this rank's own.
///
/// Shapes   rank r's `count` elements begin at others + r * stride, this rank's at own; out may be own, or the
///          place that this rank has among the others. packed: addresses and the stride are multiples of 16 bytes.
///          Less than 2^Levels ranks.
/// Cost     (ranks + 1) * sizeof(T) bytes per element, in accesses of 16 bytes where packed.
/// Laws     the bits of comm/sum.hpp, but for NaNs (tests/comm/cuda/tree_sum_test.cpp).
template <Summable T, int Levels> struct SumSlices {
  static constexpr int threads = 256;
  static constexpr int max_ranks = (1 << Levels) - 1;
  static constexpr int pack = 16 / static_cast<int>(sizeof(T));
  struct Shared {};

  const T *own, *others;
  T* out;
  std::size_t stride, count;
  int rank, ranks;
  bool packed;

  /// Few: it runs beside compute, on a stream that goes first. (How many are best was measured on no GPU.)
  int blocks() const { return detail::blocks_for(count, threads, packed ? pack : 1, 256); }

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    detail::for_each_piece<threads, pack>(block, count, packed, [&](std::size_t i, auto n) {
      const auto at = [&](int r) {
        return (r == rank ? own : others + static_cast<std::size_t>(r) * stride) + i;
      };
      store_once(out + i, detail::sum_of_ranks<T, Levels, n.value>(ranks, at));
    });
  }
};

}  // namespace cohort::cuda
