// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_widened.hpp: matrix products of 16-bit types by way of float blocks.
#pragma once
#include <algorithm>
#include <cohort/core/dtype.hpp>
#include <cohort/ops/convert.hpp>
#include <cstddef>
#include <type_traits>

namespace cohort::detail {

/// c[m,n] = beta * c + op(a) * op(b) + bias, as TiledGemmOf::multiply; bias is one row or null.
template <class T, class O> struct Narrow {
  int m, n, k;
  const T* a;
  std::ptrdiff_t lda;
  const T* b;
  std::ptrdiff_t ldb;
  float beta;
  const T* bias;
  O* c;
  std::ptrdiff_t ldc;
};

/// Memory of the calling thread for one product of 16-bit types at a time, whatever its kernel. One for
/// all of them: what is thread-local comes out of each thread's stack.
inline constexpr std::size_t narrow_scratch_bytes = std::size_t{1680} << 10;
inline char* narrow_scratch() {
  alignas(64) static thread_local char out[narrow_scratch_bytes];
  return out;
}

/// c = beta * c, without reading c where beta is 0.
template <class T> void scale_rows(int m, int n, T beta, T* c, std::ptrdiff_t ldc) {
  for (int i = 0; i < m; ++i, c += ldc) {
    for (int j = 0; j < n; ++j) c[j] = beta == T(0) ? T(0) : beta * c[j];
  }
}

/// Products of 16-bit types for any machine: blocks of a and b become float, Float (a backend with
/// the laws of TiledGemm) multiplies them, sums over the whole k stay float and are rounded once.
///
/// Shapes   as TiledGemmOf::multiply.
/// Cost     no heap; scratch_bytes of thread-local memory. Each element of a is converted once per
///          256 columns of c, each of b once per 192 rows (once per product where k <= 256).
/// Laws     an element has the bits of Float's float product of the same numbers, rounded to O.
template <class Float> struct WidenedGemm {
  static constexpr int rows = 192, columns = 256, depth = 256;

  template <bool TransA, bool TransB, class T, class O, class F>
  static void run(const Narrow<T, O>& all, F done) {
    Blocks& at = blocks();
    for (int j = 0; j < all.n; j += columns) {
      const int n = std::min(columns, all.n - j);
      for (int i = 0; i < all.m; i += rows) {
        const int m = std::min(rows, all.m - i);
        O* c = all.c + i * all.ldc + j;
        if constexpr (std::is_same_v<O, float>) {
          sum<TransA, TransB>(all, i, m, j, n, c, all.ldc, at);
        } else {
          if (all.beta != 0.0f) widen(m, n, c, all.ldc, at.c, columns);
          sum<TransA, TransB>(all, i, m, j, n, at.c, columns, at);
          for (int r = 0; r < m; ++r)
            ops::convert<O>(Cpu<Float>{}, static_cast<std::size_t>(n), at.c + r * columns,
                            c + r * all.ldc);
        }
        done(i, m, j, n);
      }
    }
  }

  struct alignas(64) Blocks {
    float a[rows * depth], b[depth * columns], c[rows * columns], bias[columns];
  };

 private:
  static Blocks& blocks() {
    static_assert(sizeof(Blocks) <= narrow_scratch_bytes);
    return *reinterpret_cast<Blocks*>(narrow_scratch());
  }

  /// c[m,n] = beta * c + bias + the product of rows i.. and columns j.., over all of k.
  template <bool TransA, bool TransB, class T, class O>
  static void sum(const Narrow<T, O>& all, int i, int m, int j, int n, float* c, std::ptrdiff_t ldc,
                  Blocks& at) {
    constexpr int lda = TransA ? rows : depth, ldb = TransB ? depth : columns;
    const int pitch = static_cast<int>(ldc);
    float beta = all.beta;
    if (all.bias) widen(1, n, all.bias + j, 0, at.bias, 0);
    for (int p = 0; p < all.k || p == 0; p += depth, beta = 1.0f) {
      const int k = std::min(depth, all.k - p);
      const T* a = all.a + (TransA ? p * all.lda + i : i * all.lda + p);
      const T* b = all.b + (TransB ? j * all.ldb + p : p * all.ldb + j);
      TransA ? widen(k, m, a, all.lda, at.a, lda) : widen(m, k, a, all.lda, at.a, lda);
      if (i == 0 || all.k > depth)
        TransB ? widen(n, k, b, all.ldb, at.b, ldb) : widen(k, n, b, all.ldb, at.b, ldb);
      if (all.bias && p == 0)
        Float::template multiply_bias<TransA, TransB, float>(m, n, k, at.a, lda, at.b, ldb, at.bias,
                                                             c, pitch);
      else
        Float::template multiply<TransA, TransB, float>(m, n, k, at.a, lda, at.b, ldb, beta, c,
                                                        pitch);
    }
  }

  template <class T>
  static void widen(int m, int n, const T* from, std::ptrdiff_t pitch, float* to,
                    std::ptrdiff_t to_pitch) {
    for (int i = 0; i < m; ++i, from += pitch, to += to_pitch)
      ops::convert<float>(Cpu<Float>{}, static_cast<std::size_t>(n), from, to);
  }
};

}  // namespace cohort::detail
