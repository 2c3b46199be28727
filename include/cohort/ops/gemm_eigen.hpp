// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_eigen.hpp: matrix products through Eigen's blocked kernel, off the heap.
#pragma once
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#pragma GCC diagnostic \
    push  // g++ 12: false alarms inside its own AVX-512 header, inlined into Eigen
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <Eigen/Core>
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#pragma GCC diagnostic pop
#endif
#include <algorithm>
#include <cohort/core/dtype.hpp>
#include <cstddef>
#include <type_traits>

namespace cohort {

namespace detail {

/// Packing buffers for Eigen's product: one pair per thread, of fixed size, used by every call.
/// Eigen's own gemm_blocking_space allocates (2 times per 768x128x512 product); this never does.
template <class T> class EigenBlocking : public Eigen::internal::level3_blocking<T, T> {
 public:
  static constexpr std::ptrdiff_t depth = 256;                     // k per pass over c
  static constexpr std::ptrdiff_t panel_left = 1536 / sizeof(T);   // features per packed block
  static constexpr std::ptrdiff_t panel_right = 4096 / sizeof(T);  // batch rows per packed block
  static constexpr std::size_t bytes_left = depth * panel_left * sizeof(T);
  static constexpr std::size_t bytes_right = depth * panel_right * sizeof(T);

  // noinline: else g++ 12 warns of a free of these arrays that Eigen guards by a run-time flag.
  [[gnu::noinline]] EigenBlocking(int rows, int cols, int k) {
    alignas(64) static thread_local unsigned char left[bytes_left];
    alignas(64) static thread_local unsigned char right[bytes_right];
    this->m_blockA = reinterpret_cast<T*>(left);
    this->m_blockB = reinterpret_cast<T*>(right);
    this->m_kc = std::min<std::ptrdiff_t>(depth, k);
    this->m_mc = std::min<std::ptrdiff_t>(panel_left, rows);
    this->m_nc = std::min<std::ptrdiff_t>(panel_right, cols);
  }
};

}  // namespace detail

/// The matrix product of the CPU device through Eigen 3.4, on the calling thread.
///
/// Shapes   c[m,n] = beta * c + op(a) * op(b), row-major, leading dimensions in elements.
///          op(a) is m x k (TransA: a is stored k x m); op(b) is k x n (TransB: b is stored n x k).
///          beta == 0 does not read c.
/// Cost     no heap, no threads; scratch_bytes per calling thread and element type.
/// Errors   compile time: 16-bit element types.
/// Laws     the sum over k has one order per kernel path; a row's path depends on its place
///          among m mod 4, so splitting rows keeps bits only in multiples of 4 (TiledGemm: always).
/// Source   Goto and van de Geijn 2008; Eigen/src/Core/products/GeneralMatrixMatrix.h.
struct EigenGemm {
  template <class T>
  static constexpr std::size_t scratch_bytes =
      detail::EigenBlocking<T>::bytes_left + detail::EigenBlocking<T>::bytes_right;

  template <bool TransA, bool TransB, class T, class O = T>
  static void multiply(int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                       accumulator_t<T> beta, O* c, int ldc) {
    if constexpr (std::is_floating_point_v<T>) {
      run<TransA, TransB, T>(m, n, k, a, lda, b, ldb, beta, c, ldc);
    } else {
      static_assert(std::is_floating_point_v<T>,
                    "cohort: EigenGemm multiplies float and double. Use DefaultGemm or TiledGemm "
                    "for 16-bit types. [cohort/ops/gemm_tiled.hpp]");
    }
  }

 private:
  template <bool TransA, bool TransB, class T>
  static void run(int m, int n, int k, const T* a, int lda, const T* b, int ldb, T beta, T* c,
                  int ldc) {
    if (m <= 0 || n <= 0) return;
    if (beta != T(1)) {
      for (int i = 0; i < m; ++i) {
        T* row = c + static_cast<std::ptrdiff_t>(i) * ldc;
        if (beta == T(0)) {
          std::fill_n(row, n, T(0));
        } else {
          for (int j = 0; j < n; ++j) row[j] *= beta;
        }
      }
    }
    if (k <= 0) return;
    // Row-major c is column-major c^T = op(b)^T op(a)^T, so b is Eigen's left side.
    using Product = Eigen::internal::general_matrix_matrix_product<
        std::ptrdiff_t, T, TransB ? Eigen::RowMajor : Eigen::ColMajor, false, T,
        TransA ? Eigen::RowMajor : Eigen::ColMajor, false, Eigen::ColMajor, 1>;
    detail::EigenBlocking<T> blocking(n, m, k);
    Product::run(n, m, k, b, ldb, a, lda, c, 1, ldc, T(1), blocking);
  }
};

}  // namespace cohort
