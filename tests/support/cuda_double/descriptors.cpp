// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/descriptors.cpp: cuBLASLt's functions that make and change descriptors.
#include <cublasLt.h>

#include <support/cuda_double/descriptors.hpp>

using namespace cohort::cuda_double;  // the file is nothing but its functions

int cohort::cuda_double::live_blas_objects() { return live_blas; }

extern "C" {

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t kind, std::size_t bytes,
                                               cublasComputeType_t compute, cudaDataType_t scale) {
  if (bytes < sizeof(ProductKind)) return CUBLAS_STATUS_ALLOC_FAILED;
  ProductKind fresh{};
  fresh.compute = compute, fresh.scale = scale, fresh.fill = CUBLAS_FILL_MODE_FULL;
  fresh.epilogue = CUBLASLT_EPILOGUE_DEFAULT, fresh.bias_type = fresh.aux_type = -1;
  put(kind, fresh);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* kind, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  COHORT_DOUBLE_ENTER_BLAS();
  if (const cublasStatus_t error = make(kind)) return error;
  return cublasLtMatmulDescInit_internal(*kind, sizeof **kind, compute, scale);
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t kind) { return unmake(kind); }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t kind,
                                              cublasLtMatmulDescAttributes_t what,
                                              const void* value, std::size_t bytes) {
  COHORT_DOUBLE_ENTER_BLAS();
  using K = ProductKind;
  switch (what) {
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
      return set(kind, &K::pointer_mode, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return set(kind, &K::trans_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return set(kind, &K::trans_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSC:
      return set(kind, &K::trans_c, value, bytes);
    case CUBLASLT_MATMUL_DESC_FILL_MODE:
      return set(kind, &K::fill, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return set(kind, &K::epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return set(kind, &K::bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
      return set(kind, &K::bias_batch_stride, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return set(kind, &K::bias_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return set(kind, &K::aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return set(kind, &K::aux_stride, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE:
      return set(kind, &K::aux_batch_stride, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE:
      return set(kind, &K::aux_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET:
      return set(kind, &K::num_processors, value, bytes);
    default:
      return CUBLAS_STATUS_INVALID_VALUE;  // none that cohort uses
  }
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, std::size_t bytes,
                                                 cudaDataType type, std::uint64_t rows,
                                                 std::uint64_t columns, std::int64_t stride) {
  if (bytes < sizeof(MatrixLayout)) return CUBLAS_STATUS_ALLOC_FAILED;
  put(layout, MatrixLayout{static_cast<std::uint32_t>(type), CUBLASLT_ORDER_COL, rows, columns,
                           stride, 1, 0, 0});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t stride) {
  COHORT_DOUBLE_ENTER_BLAS();
  if (const cublasStatus_t error = make(layout)) return error;
  return cublasLtMatrixLayoutInit_internal(*layout, sizeof **layout, type, rows, columns, stride);
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return unmake(layout); }
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t what,
                                                const void* value, std::size_t bytes) {
  COHORT_DOUBLE_ENTER_BLAS();
  using L = MatrixLayout;
  switch (what) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
      return set(layout, &L::type, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
      return set(layout, &L::order, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
      return set(layout, &L::rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
      return set(layout, &L::columns, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_LD:
      return set(layout, &L::stride, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return set(layout, &L::batches, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return set(layout, &L::batch_stride, value, bytes);
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t wish,
                                                     std::size_t bytes) {
  if (bytes < sizeof(Preference)) return CUBLAS_STATUS_ALLOC_FAILED;
  put(wish, Preference{0, 0, CUBLASLT_REDUCTION_SCHEME_MASK, 256, 256, 256, 256});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* wish) {
  COHORT_DOUBLE_ENTER_BLAS();
  if (const cublasStatus_t error = make(wish)) return error;
  return cublasLtMatmulPreferenceInit_internal(*wish, sizeof **wish);
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t wish) {
  return unmake(wish);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t wish,
                                                    cublasLtMatmulPreferenceAttributes_t what,
                                                    const void* value, std::size_t bytes) {
  COHORT_DOUBLE_ENTER_BLAS();
  using P = Preference;
  switch (what) {
    case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
      return set(wish, &P::search_mode, value, bytes);
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return set(wish, &P::workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return set(wish, &P::reductions, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return set(wish, &P::align_a, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return set(wish, &P::align_b, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return set(wish, &P::align_c, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return set(wish, &P::align_d, value, bytes);
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
}

}  // extern "C"
