// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/attention_panels.hpp: the small products of attention, in registers, on padded panels.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace cohort::ops::detail {

/// Queries that are worked on together. A multiple of the lanes of every vector type.
inline constexpr int strip = 16;
constexpr int round_up_to_strip(int n) { return (n + strip - 1) / strip * strip; }

/// HeadDim rounded up to whole vectors.
template <int HeadDim, class A>
inline constexpr int padded = (HeadDim + lanes<A> - 1) / lanes<A>* lanes<A>;

/// 0, 1, 2, ... in the lanes.
template <class A> [[gnu::always_inline]] inline Vec<A> lane_index() {
  Vec<A> index{};
  for (int i = 0; i < lanes<A>; ++i) index[i] = A(i);
  return index;
}

/// to[all_rows, padded] = the `rows` rows of `from`, `stride` apart; zeros to the right and below.
template <int HeadDim, class T, class A>
void copy_rows(int rows, int all_rows, const T* from, int stride, A* to) {
  constexpr int width = padded<HeadDim, A>;
  for (int r = 0; r < rows; ++r, from += stride, to += width)
    for_vectors<HeadDim, A>([&](int c, auto count) { store(to + c, load(from + c, count)); });
  for (int i = 0; i < (all_rows - rows) * width; ++i) to[i] = 0;
}

/// Exchanges the off-diagonal quarters of a square of vectors, then the same within each quarter.
template <int Half, class A> [[gnu::always_inline]] inline void transpose(Vec<A> (&v)[lanes<A>]) {
  constexpr int n = lanes<A>;
  [&]<int... L>(std::integer_sequence<int, L...>) __attribute__((always_inline)) {
    repeat<n>([&](auto i) {
      if constexpr ((i & Half) == 0) {
        const Vec<A> a = v[i], b = v[i + Half];
        v[i] = shuffle<((L & Half) ? n + L - Half : L)...>(a, b);
        v[i + Half] = shuffle<((L & Half) ? n + L : L + Half)...>(a, b);
      }
    });
  }
  (std::make_integer_sequence<int, n>{});
  if constexpr (Half > 1) transpose<Half / 2, A>(v);
}

/// to[d, i] = from[i, d] for 16 rows i.
template <int HeadDim, class A> [[gnu::flatten]] inline void transpose_strip(const A* from, A* to) {
  constexpr int width = padded<HeadDim, A>;
  for (int i0 = 0; i0 < strip; i0 += lanes<A>)
    for_vectors<HeadDim, A>([&](int d0, auto count) {
      Vec<A> v[lanes<A>];
      repeat<lanes<A>>([&](auto i) { v[i] = load(from + (i0 + i) * width + d0); });
      transpose<lanes<A> / 2, A>(v);
      repeat<count>([&](auto d) { store(to + (d0 + d) * strip + i0, v[d]); });
    });
}

/// to[0, HeadDim) = from * factor.
template <int HeadDim, class A, class T>
[[gnu::always_inline]] inline void store_row(const A* from, A factor, T* to) {
  for_vectors<HeadDim, A>(
      [&](int c, auto count) { store(to + c, load(from + c, count) * factor, count); });
}

/// Rows x Vectors accumulators in registers: c[r][v] (+)= sum over k of a[r, k] * b[k, v].
template <int Rows, int Vectors, bool Add, class A>
[[gnu::always_inline]] inline void multiply_block(int depth, const A* a, int a_row, int a_depth,
                                                  const A* b, int b_row, A* c, int c_row) {
  Vec<A> sum[Rows][Vectors];
  repeat<Rows>([&](auto r) {
    repeat<Vectors>([&](auto v) {
      if constexpr (Add)
        sum[r][v] = load<A>(c + r * c_row + v * lanes<A>);
      else
        sum[r][v] = Vec<A>{};
    });
  });
  for (int k = 0; k < depth; ++k, a += a_depth, b += b_row) {
    Vec<A> right[Vectors];
    repeat<Vectors>([&](auto v) { right[v] = load(b + v * lanes<A>); });
    repeat<Rows>([&](auto r) {
      const Vec<A> left = broadcast(a[r * a_row]);
      repeat<Vectors>([&](auto v) { sum[r][v] = fma(left, right[v], sum[r][v]); });
    });
  }
  repeat<Rows>([&](auto r) {
    repeat<Vectors>([&](auto v) { store(c + r * c_row + v * lanes<A>, sum[r][v]); });
  });
}

/// c[rows, Width] (+)= a[rows, depth] * b[depth, Width], rows a multiple of 16, Width of the lanes.
///
/// Shapes   a[r, k] at a[r * a_row + k * a_depth], so a may be transposed; b and c are row-major,
///          b_row apart and Width apart.
/// Cost     half of the registers hold sums: 16 rows of one vector or 8 of two with AVX-512.
template <int Width, bool Add, class A>
[[gnu::flatten]] void multiply(int rows, int depth, const A* a, int a_row, int a_depth, const A* b,
                               int b_row, A* c) {
  constexpr int vectors = Width / lanes<A>;
  constexpr auto columns = [](auto width, auto first, int num_rows, int k, const A* left, int row,
                              int step, const A* right, int right_row, A* out) {
    constexpr int block = num_registers / 2 / width;
    for (int r = 0; r < num_rows; r += block)
      multiply_block<block, width, Add>(k, left + std::ptrdiff_t(r) * row, row, step,
                                        right + first * lanes<A>, right_row,
                                        out + std::ptrdiff_t(r) * Width + first * lanes<A>, Width);
  };
  repeat<vectors / 2>([&](auto pair) {
    columns(std::integral_constant<int, 2>{}, std::integral_constant<int, 2 * pair>{}, rows, depth,
            a, a_row, a_depth, b, b_row, c);
  });
  if constexpr (vectors % 2 == 1)
    columns(std::integral_constant<int, 1>{}, std::integral_constant<int, vectors - 1>{}, rows,
            depth, a, a_row, a_depth, b, b_row, c);
}

}  // namespace cohort::ops::detail
