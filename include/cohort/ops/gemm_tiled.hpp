// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_tiled.hpp: matrix products by register tiles: no library, no heap, no threads.
#pragma once
#include <algorithm>
#include <cohort/ops/gemm_bf16.hpp>
#include <cohort/ops/gemm_tile.hpp>
#include <cohort/ops/gemm_widened.hpp>
#include <cstddef>
#include <type_traits>

namespace cohort {

namespace detail {

/// One pass over c: op(a)[m, k] * op(b)[k, n] for k <= Tile::depth, n <= Tile::width.
template <class T> struct Pass {
  int m, n, k;
  const T* a;
  std::ptrdiff_t lda;
  const T* b;
  std::ptrdiff_t ldb;
  T* c;
  std::ptrdiff_t ldc;
  bool add;
  const T* bias;
};

/// Rows rows of c, panel by panel. Full panels are packed or in place, the last narrow one packed.
template <Left A, Right B, int Rows, int Bytes, class T>
void multiply_rows(const Pass<T>& pass, int row, const T* packed) {
  using Size = Tile<T, Bytes>;
  constexpr int lanes = Size::V::lanes;
  const T* a = pass.a + (A == Left::rows ? row * pass.lda : row);
  T* c = pass.c + row * pass.ldc;
  const auto at = [&](int j, int columns) {
    return Target<T>{c + j, pass.ldc, columns, pass.add, pass.bias ? pass.bias + j : nullptr};
  };
  int j = 0;
  for (; j + Size::columns <= pass.n; j += Size::columns) {
    const T* b = B == Right::packed ? packed + j / Size::columns * Size::panel : pass.b + j;
    multiply_tile<A, B, Rows, Size::vectors, Bytes, T>(pass.k, a, pass.lda, b, pass.ldb,
                                                       at(j, Size::columns));
  }
  const int rest = pass.n - j;
  if (rest == 0) return;
  const T* b = packed + j / Size::columns * Size::panel;
  if (rest > lanes) {
    multiply_tile<A, Right::packed, Rows, 2, Bytes, T>(pass.k, a, pass.lda, b, 0, at(j, rest));
  } else {
    multiply_tile<A, Right::packed, Rows, 1, Bytes, T>(pass.k, a, pass.lda, b, 0, at(j, rest));
  }
}

/// All rows of a pass: full tiles, then the remainder as 8 + 4 + 2 + 1 rows. done(row, rows) follows
/// each tile of rows.
template <Left A, Right B, int Bytes, class T, class F>
void multiply_pass(const Pass<T>& pass, const T* packed, F done) {
  constexpr int rows = Tile<T, Bytes>::rows;
  int i = 0;
  const auto strip = [&](auto count) {
    multiply_rows<A, B, count, Bytes>(pass, i, packed);
    done(i, int{count});
    i += count;
  };
  while (i + rows <= pass.m) strip(std::integral_constant<int, rows>{});
  const int rest = pass.m - i;
  if constexpr (rows > 8) {
    if (rest & 8) strip(std::integral_constant<int, 8>{});
  }
  if (rest & 4) strip(std::integral_constant<int, 4>{});
  if (rest & 2) strip(std::integral_constant<int, 2>{});
  if (rest & 1) strip(std::integral_constant<int, 1>{});
}

/// The product of 16-bit T: primary as float.
template <class T, Dot How, class Float> struct narrow_gemm { using type = WidenedGemm<Float>; };
#if defined(COHORT_HAS_PAIRS)
template <Dot How, class Float>
requires(How != Dot::widened) struct narrow_gemm<bf16, How, Float> {
  using type = Bf16Gemm<How>;
};
#endif

/// Bytes of thread-local memory of a product of T.
template <class T, int Bytes> constexpr std::size_t product_scratch() {
  if constexpr (Float16<T>) {
    return narrow_scratch_bytes + Tile<float, Bytes>::scratch;
  } else {
    return Tile<T, Bytes>::scratch;
  }
}

}  // namespace detail

/// The matrix product of the CPU device by register tiles of Bytes-wide vectors (TiledGemm: the
/// widest of this build), on the calling thread. Faster than Eigen and OpenBLAS and level with
/// oneDNN on a small GPT's shapes (docs/decisions/0001-gemm-backends.md).
///
/// Shapes   c[m,n] = beta * c + op(a) * op(b), row-major, leading dimensions in elements.
///          op(a) is m x k (TransA: a is stored k x m); op(b) is k x n (TransB: b is stored n x k).
///          beta == 0 does not read c. c must not overlap a, b or bias.
/// Cost     no heap, no threads, no start-up; scratch_bytes<T> of thread-local memory per thread
///          and element type, touched on first use. a is read where it lies, so is a row-major b
///          with m <= 1024; else b is packed per 256 steps of k and 2 KiB of columns.
///          16-bit types: Bf16Gemm (ops/gemm_bf16.hpp), WidenedGemm (ops/gemm_widened.hpp).
/// Laws     an element of c is ((beta c + s0) + s1) + ..., si the sum of k = 256 i .. 256 i + 255
///          in ascending order by multiply-adds from 0: the same bits for any m, n, leading
///          dimension, alignment and split of the rows or columns (tests/ops/gemm_tiled_test.cpp).
/// Source   Goto and van de Geijn 2008; Van Zee and van de Geijn 2015 (BLIS).
template <int Bytes, detail::Dot How = detail::widest_dot> struct TiledGemmOf {
  template <class T> using Narrow = typename detail::narrow_gemm<T, How, TiledGemmOf>::type;
  template <class T>
  static constexpr std::size_t scratch_bytes = detail::product_scratch<T, Bytes>();

  template <bool TransA, bool TransB, class T, class O = T>
  static void multiply(int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                       accumulator_t<T> beta, O* c, int ldc) {
    if (m <= 0 || n <= 0) return;
    const auto done = [](int, int, int, int) {};
    if constexpr (Float16<T>) {
      narrow<TransA, TransB, T, O>({m, n, k, a, lda, b, ldb, beta, nullptr, c, ldc}, done);
    } else {
      if (k <= 0 || (beta != T(0) && beta != T(1))) detail::scale_rows(m, n, beta, c, ldc);
      run<TransA, TransB, T>({m, n, k, a, lda, b, ldb, c, ldc, beta != T(0), nullptr}, done);
    }
  }

  /// c = op(a) * op(b) + bias, bias[n] on every row (or nullptr), in the same pass.
  template <bool TransA, bool TransB, class T, class O = T>
  static void multiply_bias(int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                            const T* bias, O* c, int ldc) {
    multiply_then<TransA, TransB>(m, n, k, a, lda, b, ldb, bias, c, ldc, [](int, int, int, int) {});
  }

  /// The same, and done(row, rows, column, columns) for each piece of c when it is final and still
  /// in L1. The pieces are disjoint and cover c.
  template <bool TransA, bool TransB, class T, class O = T, class F>
  static void multiply_then(int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                            const T* bias, O* c, int ldc, F done) {
    if (m <= 0 || n <= 0) return;
    if constexpr (Float16<T>) {
      narrow<TransA, TransB, T, O>({m, n, k, a, lda, b, ldb, 0.0f, bias, c, ldc}, done);
    } else {
      if (k <= 0) {
        for (int i = 0; i < m; ++i) {
          for (int j = 0; j < n; ++j) c[i * std::ptrdiff_t{ldc} + j] = bias ? bias[j] : T(0);
        }
        done(0, m, 0, n);
      }
      run<TransA, TransB, T>({m, n, k, a, lda, b, ldb, c, ldc, false, bias}, done);
    }
  }

 private:
  template <bool TransA, bool TransB, class T, class O, class F>
  static void narrow(const detail::Narrow<T, O>& all, F done) {
    if (all.k > 0)
      Narrow<T>::template run<TransA, TransB>(all, done);
    else
      detail::WidenedGemm<TiledGemmOf>::template run<TransA, TransB>(all, done);
  }

  template <bool TransA, bool TransB, class T, class F>
  static void run(const detail::Pass<T>& all, F done) {
    using namespace detail;
    using Size = Tile<T, Bytes>;
    T* packed = scratch<T>();
    for (int j = 0; j < all.n; j += Size::width) {
      for (int p = 0; p < all.k; p += Size::depth) {
        Pass<T> pass = all;
        pass.n = std::min(Size::width, all.n - j);
        pass.k = std::min(Size::depth, all.k - p);
        pass.a += TransA ? p * all.lda : p;
        pass.b += TransB ? j * all.ldb + p : p * all.ldb + j;
        pass.c += j;
        pass.add = all.add || p > 0;
        pass.bias = all.bias && p == 0 ? all.bias + j : nullptr;
        const bool last = p + pass.k == all.k;
        run_pass<TransA, TransB, T>(pass, packed, [&](int row, int rows) {
          if (last) done(row, rows, j, pass.n);
        });
      }
    }
  }

  template <bool TransA, bool TransB, class T, class F>
  static void run_pass(const detail::Pass<T>& pass, T* packed, F done) {
    using namespace detail;
    using Size = Tile<T, Bytes>;
    constexpr Left left = TransA ? Left::columns : Left::rows;
    if constexpr (!TransB) {
      // Packing a panel row costs about 10 cycles, which m rows share. It pays for many rows,
      // and where rows of b are so far apart that they meet in few cache sets. Same bits.
      if (pass.m <= 1024 && pass.ldb * static_cast<std::ptrdiff_t>(sizeof(T)) <= 2048) {
        pack<TransB>(pass, pass.n / Size::columns * Size::columns, packed);
        multiply_pass<left, Right::in_place, Bytes, T>(pass, packed, done);
        return;
      }
    }
    pack<TransB>(pass, 0, packed);
    multiply_pass<left, Right::packed, Bytes, T>(pass, packed, done);
  }

  /// One buffer for all kinds of products: in a function of its own, since a static of `run` would
  /// exist once for each combination of its arguments.
  template <class T> static T* scratch() {
    alignas(64) static thread_local T packed[detail::Tile<T, Bytes>::scratch / sizeof(T)];
    return packed;
  }

  /// Packs the panels of columns from `first` on.
  template <bool TransB, class T>
  static void pack(const detail::Pass<T>& pass, int first, T* packed) {
    using Size = detail::Tile<T, Bytes>;
    for (int j = first; j < pass.n; j += Size::columns) {
      const int wide = std::min(Size::columns, pass.n - j);
      T* to = packed + j / Size::columns * Size::panel;
      if constexpr (TransB) {
        detail::pack_panel_columns<Bytes>(pass.k, wide, pass.b + j * pass.ldb, pass.ldb, to);
      } else {
        detail::pack_panel_rows<Bytes>(pass.k, wide, pass.b + j, pass.ldb, to);
      }
    }
  }
};

/// With the widest registers that the compiler may use.
using TiledGemm = TiledGemmOf<detail::widest_register>;

}  // namespace cohort
