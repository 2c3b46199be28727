// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/product.hpp: a matrix product as cuBLASLt's descriptors describe it.
#pragma once
#include <cublasLt.h>

#include <cstddef>
#include <cstdint>

namespace cohort::cuda_double {

/// What is inside cublasLtMatrixLayoutOpaque_t.
struct MatrixLayout {
  std::uint32_t type;
  std::int32_t order;
  std::uint64_t rows, columns;
  std::int64_t stride;  // leading dimension, elements
  std::int32_t batches;
  std::uint32_t mode;
  std::int64_t batch_stride;  // elements
};
static_assert(sizeof(MatrixLayout) <= sizeof(cublasLtMatrixLayoutOpaque_t));

/// What is inside cublasLtMatmulDescOpaque_t.
struct ProductKind {
  std::int32_t compute, scale, pointer_mode, trans_a, trans_b, trans_c, fill;
  std::uint32_t epilogue;
  void* bias;
  std::int64_t bias_batch_stride;
  void* aux;
  std::int64_t aux_stride, aux_batch_stride;
  std::int32_t bias_type, aux_type, num_processors;
};
static_assert(sizeof(ProductKind) <= sizeof(cublasLtMatmulDescOpaque_t));

/// A product with its operands: d = epilogue(alpha op(a) op(b) + beta c), all column-major.
struct Product {
  ProductKind kind;
  MatrixLayout a_layout, b_layout, c_layout, d_layout;
  double alpha, beta;
  const void *a, *b, *c;
  void* d;

  std::int64_t m() const { return static_cast<std::int64_t>(d_layout.rows); }
  std::int64_t n() const { return static_cast<std::int64_t>(d_layout.columns); }
  std::int64_t k() const {
    return static_cast<std::int64_t>(kind.trans_a == CUBLAS_OP_N ? a_layout.columns
                                                                 : a_layout.rows);
  }
  int bias_type() const {
    return kind.bias_type < 0 ? static_cast<int>(d_layout.type) : kind.bias_type;
  }
  int aux_type() const {
    return kind.aux_type < 0 ? static_cast<int>(d_layout.type) : kind.aux_type;
  }
};

std::size_t bytes_of_type(int type);  // 0: none that the double knows
/// CUBLAS_STATUS_SUCCESS, or what cuBLASLt's documentation says against it.
cublasStatus_t judge(const Product& product);
/// In fp64, each element rounded once to its type.
void compute(const Product& product);

}  // namespace cohort::cuda_double
