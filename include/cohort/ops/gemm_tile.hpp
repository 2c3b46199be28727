// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_tile.hpp: a register tile of a matrix product, and packing of its right side.
#pragma once
#include <algorithm>
#include <cohort/ops/gemm_vector.hpp>
#include <cstddef>

#if defined(__CUDACC__)  // which does not know "GCC unroll"
#pragma nv_diagnostic push
#pragma nv_diag_suppress 1675
#endif

namespace cohort::detail {

/// The constants of a tiled product. They depend on nothing but the element and register types:
/// the order of additions in an element of c follows from `depth` alone.
template <class T, int Bytes> struct Tile {
  using V = Vector<T, Bytes>;
  static constexpr int vectors = 2;
  static constexpr int rows = Bytes == 64 ? 12 : 6;   // rows * vectors + 3 registers, of 32 or 16
  static constexpr int columns = vectors * V::lanes;  // of a full panel
  static constexpr int depth = 256;                   // k per pass: a panel of 32 KiB
  static constexpr int width = 2048 / sizeof(T);      // columns packed at once: half a 1 MiB cache
  static constexpr std::ptrdiff_t panel =
      (depth + 1) * columns;  // one row apart: no 4 KiB aliasing
  static constexpr std::size_t scratch = panel * (width / columns) * sizeof(T);  // bytes
};

/// The left side of a tile: rows of op(a), stored as rows (a) or as columns (a transposed).
enum class Left { rows, columns };
/// The right side of a tile: packed panel, or op(b) where it lies.
enum class Right { packed, in_place };

/// Where a tile goes: c = sum (+ bias), or c += sum.
template <class T> struct Target {
  T* c;
  std::ptrdiff_t ldc;
  int columns;    // valid ones; the tile computes a multiple of the lanes
  bool add;       // else c is not read
  const T* bias;  // one row, or null
};

template <int Rows, int Vectors, class V, class T>
[[gnu::always_inline]] inline void write_tile(const V (&sum)[Rows][Vectors], Target<T> to) {
  constexpr int width = Vectors * V::lanes;
  if (to.columns == width) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        T* at = to.c + i * to.ldc + v * V::lanes;
        V out = sum[i][v];
        if (to.bias) out = V::load(to.bias + v * V::lanes) + out;
        if (to.add) out = V::load(at) + out;
        out.store(at);
      }
    }
    return;
  }
  T spilled[Rows][width];
  const int columns = to.columns < width ? to.columns : width;  // or g++ sees more being read
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[i][v].store(spilled[i] + v * V::lanes);
  }
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 1
    for (int j = 0; j < columns; ++j) {
      T out = spilled[i][j];
      if (to.bias) out = to.bias[j] + out;
      T& at = to.c[i * to.ldc + j];
      at = to.add ? at + out : out;
    }
  }
}

/// Rows x (Vectors * lanes) elements of c: sums over k in ascending order from zero, one
/// multiply-add per element and step, whatever the tile's size: so bits do not depend on how c is
/// cut into tiles.
///
/// Cost     12 x 2 registers of AVX-512: 24 multiply-adds, 14 loads per step; 93 % of peak.
template <Left A, Right B, int Rows, int Vectors, int Bytes, class T>
[[gnu::noinline]] void multiply_tile(int k, const T* a, std::ptrdiff_t lda, const T* b,
                                     std::ptrdiff_t ldb, Target<T> to) {
  using V = Vector<T, Bytes>;
  constexpr int ahead_a = 16, ahead_b = 8;  // steps; a row per step is too wide for the prefetchers
  V sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[i][v] = V::zero();
  }
  const std::ptrdiff_t pitch = B == Right::packed ? Vectors * V::lanes : ldb;
  const T* from[(Rows + 2) / 3];  // every third row: few enough pointers to stay in registers
#pragma GCC unroll 16
  for (int i = 0; i < Rows; i += 3) from[i / 3] = A == Left::rows ? a + i * lda : a;
#pragma GCC unroll 2
  for (int p = 0; p < k; ++p) {
    if constexpr (A == Left::columns) __builtin_prefetch(a + (p + ahead_a) * lda + Rows / 2);
    V right[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const T* at = b + p * pitch + v * V::lanes;
      if constexpr (B == Right::in_place) __builtin_prefetch(at + ahead_b * pitch);
      right[v] = V::load(at);
    }
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const V left =
          V::broadcast(A == Left::rows ? from[i / 3][(i % 3) * lda + p] : a[p * lda + i]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[i][v] = V::multiply_add(left, right[v], sum[i][v]);
    }
  }
  write_tile(sum, to);
}

/// Elements from one packed row to the next of a panel of `columns` columns: whole registers.
template <class T, int Bytes> constexpr int packed_pitch(int columns) {
  constexpr int lanes = Vector<T, Bytes>::lanes;
  return (columns + lanes - 1) / lanes * lanes;
}

/// Packs k rows of n <= Tile::columns columns of a row-major b; fills up with zeros.
template <int Bytes, class T>
void pack_panel_rows(int k, int n, const T* b, std::ptrdiff_t ldb, T* to) {
  using V = Vector<T, Bytes>;
  const int pitch = packed_pitch<T, Bytes>(n);
  for (int p = 0; p < k; ++p, b += ldb, to += pitch) {
    int j = 0;
    for (; j + V::lanes <= n; j += V::lanes) V::load(b + j).store(to + j);
    for (; j < pitch; ++j) to[j] = j < n ? b[j] : T(0);
  }
}

/// Packs k rows of n <= Tile::columns columns of a b that is stored transposed (n x k).
template <int Bytes, class T>
void pack_panel_columns(int k, int n, const T* b, std::ptrdiff_t ldb, T* to) {
  using V = Vector<T, Bytes>;
  constexpr int lanes = V::lanes;
  const int pitch = packed_pitch<T, Bytes>(n);
  for (int j = 0; j < n; j += lanes, b += lanes * ldb, to += lanes) {
    const int wide = std::min(lanes, n - j);
    int p = 0;
    for (; wide == lanes && p + lanes <= k; p += lanes) {
      V block[lanes];
#pragma GCC unroll 16
      for (int r = 0; r < lanes; ++r) block[r] = V::load(b + r * ldb + p);
      V::transpose(block);
#pragma GCC unroll 16
      for (int r = 0; r < lanes; ++r)
        block[r].store(to + static_cast<std::ptrdiff_t>(p + r) * pitch);
    }
    for (; p < k; ++p) {
      T* row = to + static_cast<std::ptrdiff_t>(p) * pitch;
      for (int r = 0; r < lanes; ++r) row[r] = r < wide ? b[r * ldb + p] : T(0);
    }
  }
}

}  // namespace cohort::detail

#if defined(__CUDACC__)
#pragma nv_diagnostic pop
#endif
