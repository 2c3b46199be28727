// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/matmul.hpp: the matrix product as an op of a GPU.
#pragma once
#include <cohort/device/cuda/launch.hpp>
#include <cohort/ops/cuda/cublaslt.hpp>
#include <cohort/ops/matmul.hpp>
#include <cstddef>

namespace cohort::ops {

namespace kernels {
/// c[m, n] = beta c + bias (which may be nullptr): what a product of nothing leaves, or begins from.
template <class T, class O> struct PrefilledRows {
  static constexpr int threads = 256;
  struct Shared {};
  int m, n, ldc;
  accumulator_t<T> beta;
  const T* bias;
  O* c;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    using A = accumulator_t<T>;
    for (int i = block.index(); i < m; i += block.count())
      for (int j = block.thread(); j < n; j += threads) {
        O& at = c[std::ptrdiff_t{i} * ldc + j];
        const A kept = beta == A(0) ? A(0) : beta * A(at),
                added = bias != nullptr ? A(bias[j]) : A(0);
        at = O(kept + added);
      }
  }
};

template <class T, class O>
void prefill(const Cuda& device, int m, int n, accumulator_t<T> beta, const T* bias, O* c,
             int ldc) {
  cuda::launch(device, m < 65536 ? m : 65536, PrefilledRows<T, O>{m, n, ldc, beta, bias, c});
}
}  // namespace kernels

/// As on the CPU (ops/matmul.hpp), by cuBLASLt.
///
/// Cost     2 m n k operations; the workspace of the device's stream.
/// Errors   Error with the shape, the types and cuBLASLt's status (ops/cuda/cublaslt.hpp).
template <bool TransA, bool TransB, class T, ProductOf<T> O>
void matmul(const Cuda& device, int m, int n, int k, const T* a, int lda, const T* b, int ldb,
            accumulator_t<T> beta, O* c, int ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (beta != 1) kernels::prefill<T>(device, m, n, beta, nullptr, c, ldc);
    return;
  }
  cuda::multiply<TransA, TransB>(device, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

/// The bias is added in the product's pass over c; where cuBLASLt cannot (double), c begins as the bias.
template <bool TransA, bool TransB, class T, ProductOf<T> O>
void matmul_bias(const Cuda& device, int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                 const T* bias, O* c, int ldc) {
  if (m == 0 || n == 0) return;
  const cuda::Fused fused{.what = cuda::Epilogue::bias, .vector = const_cast<T*>(bias)};
  if (k > 0 && cuda::multiply<TransA, TransB>(device, m, n, k, a, lda, b, ldb, accumulator_t<T>(0),
                                              c, ldc, fused))
    return;
  kernels::prefill<T>(device, m, n, 0, bias, c, ldc);
  matmul<TransA, TransB>(device, m, n, k, a, lda, b, ldb, accumulator_t<T>(1), c, ldc);
}

/// `done` is called once, for c whole, and queues what follows on the device's stream.
template <bool TransA, bool TransB, class T, ProductOf<T> O, class F>
void matmul_then(const Cuda& device, int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                 const T* bias, O* c, int ldc, F done) {
  if (bias)
    matmul_bias<TransA, TransB>(device, m, n, k, a, lda, b, ldb, bias, c, ldc);
  else
    matmul<TransA, TransB>(device, m, n, k, a, lda, b, ldb, accumulator_t<T>(0), c, ldc);
  if (m > 0 && n > 0) done(0, m, 0, n);
}

}  // namespace cohort::ops
