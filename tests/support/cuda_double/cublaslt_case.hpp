// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/cublaslt_case.hpp: one product with its descriptors and operands, for tests of cuBLASLt.
#pragma once
#include <cublasLt.h>
#include <doctest/doctest.h>

#include <cohort/core/float16.hpp>
#include <cohort/device/cuda/context.hpp>
#include <cohort/device/cuda/memory.hpp>
#include <random>
#include <type_traits>
#include <vector>

namespace cohort::cuda_double {

/// Descriptors of one product with float or 16-bit matrices, and its operands in device memory.
template <class T, class O> class Lt {
 public:
  Lt(int m, int n, int k, bool ta, bool tb, int batches = 1)
      : m(m),
        n(n),
        k(k),
        ta(ta),
        tb(tb),
        batches(batches),
        lda((ta ? k : m) + 3),
        ldb((tb ? n : k) + 1),
        ldd(m + 5),
        aux_stride((m + 15) / 8 * 8),
        a(fill(lda * (ta ? m : k) * batches)),
        b(fill(ldb * (tb ? k : n) * batches)),
        d(fill(ldd * n * batches)),
        bias(fill(m + n)),
        aux(fill(aux_stride * n)),
        context(0) {
    cublasLtMatmulDescInit(&kind, wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F, scale);
    set(CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{ta ? CUBLAS_OP_T : CUBLAS_OP_N});
    set(CUBLASLT_MATMUL_DESC_TRANSB, std::int32_t{tb ? CUBLAS_OP_T : CUBLAS_OP_N});
    layout(la, type<T>, ta ? k : m, ta ? m : k, lda);
    layout(lb, type<T>, tb ? n : k, tb ? k : n, ldb);
    layout(ld, type<O>, m, n, ldd);
  }
  template <class V> cublasStatus_t set(cublasLtMatmulDescAttributes_t what, V value) {
    return cublasLtMatmulDescSetAttribute(&kind, what, &value, sizeof value);
  }
  void epilogue(cublasLtEpilogue_t what) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<std::uint32_t>(what));
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void*>(on_gpu(bias, bias_gpu)));
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<void*>(on_gpu(aux, aux_gpu)));
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t{aux_stride});
  }
  cublasStatus_t choose() {
    cublasLtMatmulPreference_t wish = nullptr;
    cublasLtMatmulPreferenceCreate(&wish);
    int count = 0;
    const auto status = cublasLtMatmulAlgoGetHeuristic(context.blas(), &kind, &la, &lb, &ld, &ld,
                                                       wish, 1, &result, &count);
    cublasLtMatmulPreferenceDestroy(wish);
    return status;
  }
  cublasStatus_t run(double alpha, double beta) {
    using S = std::conditional_t<wide, double, float>;
    const S scaled = static_cast<S>(alpha), kept = static_cast<S>(beta);
    T* pa = on_gpu(a, a_gpu);
    T* pb = on_gpu(b, b_gpu);
    O* pd = on_gpu(d, d_gpu);
    const auto status = cublasLtMatmul(context.blas(), &kind, &scaled, pa, &la, pb, &lb, &kept, pd,
                                       &ld, pd, &ld, &result.algo, nullptr, 0, nullptr);
    back(d, d_gpu), back(bias, bias_gpu), back(aux, aux_gpu);
    return status;
  }
  /// alpha op(a) op(b) at (i, j) in double, by its definition.
  double exact(int i, int j, int batch = 0) const {
    double sum = 0;
    for (int p = 0; p < k; ++p) {
      const int at_a = batch * lda * (ta ? m : k) + (ta ? p + i * lda : i + p * lda);
      const int at_b = batch * ldb * (tb ? k : n) + (tb ? j + p * ldb : p + j * ldb);
      sum += value(a, at_a) * value(b, at_b);
    }
    return sum;
  }
  template <class V> static double value(const std::vector<V>& of, int i) {
    const V v = of[static_cast<std::size_t>(i)];
    if constexpr (std::is_same_v<V, double>)
      return v;
    else
      return float(v);
  }
  double at_d(int i, int j, int batch = 0) const { return value(d, batch * ldd * n + i + j * ldd); }

  static constexpr bool wide = std::is_same_v<T, double>;
  static constexpr cudaDataType_t scale = wide ? CUDA_R_64F : CUDA_R_32F;
  template <class V>
  static constexpr cudaDataType_t type = std::is_same_v<V, double>  ? CUDA_R_64F
                                         : std::is_same_v<V, float> ? CUDA_R_32F
                                         : std::is_same_v<V, bf16>  ? CUDA_R_16BF
                                                                    : CUDA_R_16F;
  // One rounding to O, plus one to O's type of the fp64 sum's own error, which is far below it.
  static constexpr double unit = std::is_same_v<O, double>  ? 0x1p-50
                                 : std::is_same_v<O, float> ? 0x1p-24
                                 : std::is_same_v<O, bf16>  ? 0x1p-8
                                                            : 0x1p-11;
  int m, n, k;
  bool ta, tb;
  int batches, lda, ldb, ldd, aux_stride;
  std::vector<T> a, b;
  std::vector<O> d, bias, aux;
  cublasLtMatmulDescOpaque_t kind{};
  cublasLtMatrixLayoutOpaque_t la{}, lb{}, ld{};
  cublasLtMatmulHeuristicResult_t result{};
  cuda::Context context;
  cuda::Memory a_gpu, b_gpu, d_gpu, bias_gpu, aux_gpu;

 private:
  struct Random {
    int count;
    template <class V> operator std::vector<V>() const {
      static std::mt19937 engine(7);
      std::uniform_real_distribution<float> draw(-1, 1);
      std::vector<V> out(static_cast<std::size_t>(count));
      for (V& v : out) v = V(draw(engine));
      return out;
    }
  };
  static Random fill(int count) { return {count}; }
  void layout(cublasLtMatrixLayoutOpaque_t& to, cudaDataType_t of, int rows, int columns,
              int stride) {
    const std::int64_t step = std::int64_t{stride} * columns;
    const auto size = [](int x) { return static_cast<std::uint64_t>(x); };
    CHECK(cublasLtMatrixLayoutInit(&to, of, size(rows), size(columns), stride) ==
          CUBLAS_STATUS_SUCCESS);
    cublasLtMatrixLayoutSetAttribute(&to, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches,
                                     sizeof batches);
    cublasLtMatrixLayoutSetAttribute(&to, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step,
                                     sizeof step);
  }
  template <class V> V* on_gpu(const std::vector<V>& host, cuda::Memory& gpu) {
    gpu = cuda::Memory(host.size() * sizeof(V));
    cudaMemcpy(gpu.as<void>(), host.data(), host.size() * sizeof(V), cudaMemcpyDefault);
    return gpu.as<V>();
  }
  template <class V> void back(std::vector<V>& host, const cuda::Memory& gpu) {
    if (gpu.bytes() > 0)
      cudaMemcpy(host.data(), gpu.as<void>(), host.size() * sizeof(V), cudaMemcpyDefault);
  }
};

}  // namespace cohort::cuda_double
