// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/matmul.hpp: the matrix product as an op of the device; layers call nothing below it.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/device/cpu.hpp>
#include <concepts>
#include <cstddef>

namespace cohort::ops {

/// What a product of T may be stored as: T, or the type that it is summed in.
template <class O, class T>
concept ProductOf = std::same_as<O, T> || std::same_as<O, accumulator_t<T>>;

/// c = beta * c + op(a) * op(b).
///
/// Shapes   c[m,n], op(a) m x k (TransA: a stored k x m), op(b) k x n (TransB: b stored n x k);
///          all row-major, leading dimensions in elements. c must not overlap a or b.
///          A linear layer with w[out,in]: y = x w^T (NT), dx = dy w (NN), dw += dy^T x (TN).
/// Cost     2 m n k operations; no heap; the backend's fixed scratch per thread.
/// Laws     beta == 0 does not read c. m or n == 0 does nothing; k == 0 is beta * c.
///          16-bit T: sums over the whole of k are float, and rounded once when O is T.
template <bool TransA, bool TransB, class Gemm, class T, ProductOf<T> O>
void matmul(const Cpu<Gemm>&, int m, int n, int k, const T* a, int lda, const T* b, int ldb,
            accumulator_t<T> beta, O* c, int ldc) {
  Gemm::template multiply<TransA, TransB, T, O>(m, n, k, a, lda, b, ldb, beta, c, ldc);
}

/// c = op(a) * op(b) + bias, bias[n] added to every row: a linear layer's forward in one pass over
/// c where the backend fuses it, else a fill of c with the bias and a product that adds to it.
template <bool TransA, bool TransB, class Gemm, class T, ProductOf<T> O>
void matmul_bias(const Cpu<Gemm>&, int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                 const T* bias, O* c, int ldc) {
  if constexpr (requires {
                  Gemm::template multiply_bias<TransA, TransB, T, O>(m, n, k, a, lda, b, ldb, bias,
                                                                     c, ldc);
                }) {
    Gemm::template multiply_bias<TransA, TransB, T, O>(m, n, k, a, lda, b, ldb, bias, c, ldc);
  } else {
    for (int i = 0; i < m; ++i) {
      O* row = c + static_cast<std::ptrdiff_t>(i) * ldc;
      for (int j = 0; j < n; ++j) row[j] = static_cast<O>(bias[j]);
    }
    Gemm::template multiply<TransA, TransB, T, O>(m, n, k, a, lda, b, ldb, 1, c, ldc);
  }
}

/// c = op(a) * op(b) + bias (which may be nullptr), then done(row, rows, column, columns) for pieces
/// of c that cover it: small ones that are still in cache where the backend can, else c whole.
template <bool TransA, bool TransB, class Gemm, class T, ProductOf<T> O, class F>
void matmul_then(const Cpu<Gemm>& cpu, int m, int n, int k, const T* a, int lda, const T* b,
                 int ldb, const T* bias, O* c, int ldc, F done) {
  if constexpr (requires {
                  Gemm::template multiply_then<TransA, TransB, T, O>(m, n, k, a, lda, b, ldb, bias,
                                                                     c, ldc, done);
                }) {
    Gemm::template multiply_then<TransA, TransB, T, O>(m, n, k, a, lda, b, ldb, bias, c, ldc, done);
  } else {
    if (bias)
      matmul_bias<TransA, TransB>(cpu, m, n, k, a, lda, b, ldb, bias, c, ldc);
    else
      matmul<TransA, TransB>(cpu, m, n, k, a, lda, b, ldb, 0, c, ldc);
    if (m > 0 && n > 0) done(0, m, 0, n);
  }
}

/// The same on a GPU: ops/cuda/matmul.hpp. matmul_then's `done` queues what follows on the stream.
template <bool TransA, bool TransB, class T, ProductOf<T> O>
void matmul(const Cuda&, int m, int n, int k, const T* a, int lda, const T* b, int ldb,
            accumulator_t<T> beta, O* c, int ldc);
template <bool TransA, bool TransB, class T, ProductOf<T> O>
void matmul_bias(const Cuda&, int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                 const T* bias, O* c, int ldc);
template <bool TransA, bool TransB, class T, ProductOf<T> O, class F>
void matmul_then(const Cuda&, int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                 const T* bias, O* c, int ldc, F done);

}  // namespace cohort::ops
