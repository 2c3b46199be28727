// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_onednn.hpp: matrix products through oneDNN's sgemm (link with -ldnnl).
#pragma once
#include <dnnl.h>

#include <cohort/core/error.hpp>
#include <cohort/ops/gemm_tiled.hpp>
#include <type_traits>

namespace cohort {

/// The matrix product of the CPU device through oneDNN (float), else as TiledGemm (double and 16-bit
/// types: dnnl_sgemm knows neither). A reference for benchmarks; TiledGemm is the default.
///
/// Shapes   as TiledGemmOf::multiply.
/// Cost     heap: yes, oneDNN's own buffers and generated code, outside the plan's ledger. Threads:
///          oneDNN of Debian opens an OpenMP team per calling thread: set OMP_NUM_THREADS=1.
/// Errors   a status other than success throws ContractBroken.
/// Source   oneDNN 2.6, dnnl_sgemm.
struct OneDnnGemm {
  template <bool TransA, bool TransB, class T, class O = T>
  static void multiply(int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                       accumulator_t<T> beta, O* c, int ldc) {
    if constexpr (std::is_same_v<T, float>) {
      if (m <= 0 || n <= 0) return;
      if (k <= 0) return detail::scale_rows(m, n, beta, c, ldc);
      const dnnl_status_t status = dnnl_sgemm(TransA ? 'T' : 'N', TransB ? 'T' : 'N', m, n, k, 1.0f,
                                              a, lda, b, ldb, beta, c, ldc);
      if (status != dnnl_success) {
        throw ContractBroken(-1, "dnnl_sgemm", "oneDNN refused the product. Use TiledGemm.");
      }
    } else {
      TiledGemm::multiply<TransA, TransB, T, O>(m, n, k, a, lda, b, ldb, beta, c, ldc);
    }
  }
};

}  // namespace cohort
