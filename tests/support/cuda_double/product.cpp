// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/product.cpp: which matrix products cuBLASLt has, and what they compute.
#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <cohort/core/float16.hpp>
#include <support/cuda_double/product.hpp>

namespace cohort::cuda_double {

namespace {
using Matrix = Eigen::MatrixXd;  // column-major, as cuBLASLt's default

/// To float so that a later rounding to 16 bits is as if done at once: inexact results are made odd.
float to_odd(double x) {
  const float near = static_cast<float>(x);
  if (static_cast<double>(near) == x || std::isnan(x)) return near;
  auto bits = std::bit_cast<std::uint32_t>(near);
  if (std::abs(static_cast<double>(near)) > std::abs(x)) --bits;
  return std::bit_cast<float>(bits | 1u);
}
/// To the 11 significant bits of TF32, ties away from zero (PTX, cvt.rna.tf32.f32).
double to_tf32(double x) {
  if (!std::isfinite(x)) return x;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(static_cast<float>(x)) + 0x1000u) &
                              ~std::uint32_t{0x1fff});
}

double load(const void* from, int type, std::int64_t i) {
  switch (type) {
    case CUDA_R_64F:
      return static_cast<const double*>(from)[i];
    case CUDA_R_32F:
      return static_cast<const float*>(from)[i];
    case CUDA_R_16BF:
      return float(static_cast<const bf16*>(from)[i]);
    default:
      return float(static_cast<const fp16*>(from)[i]);
  }
}
void store(void* to, int type, std::int64_t i, double x) {
  switch (type) {
    case CUDA_R_64F:
      static_cast<double*>(to)[i] = x;
      return;
    case CUDA_R_32F:
      static_cast<float*>(to)[i] = static_cast<float>(x);
      return;
    case CUDA_R_16BF:
      static_cast<bf16*>(to)[i] = bf16(to_odd(x));
      return;
    default:
      static_cast<fp16*>(to)[i] = fp16(to_odd(x));
      return;
  }
}
Matrix load(const void* from, const MatrixLayout& layout, int batch, bool transposed, bool tf32) {
  const auto rows = static_cast<Eigen::Index>(layout.rows);
  const auto columns = static_cast<Eigen::Index>(layout.columns);
  Matrix out(transposed ? columns : rows, transposed ? rows : columns);
  const int type = static_cast<int>(layout.type);
  for (Eigen::Index j = 0; j < columns; ++j) {
    for (Eigen::Index i = 0; i < rows; ++i) {
      double x = load(from, type, batch * layout.batch_stride + j * layout.stride + i);
      if (tf32) x = to_tf32(x);
      (transposed ? out(j, i) : out(i, j)) = x;
    }
  }
  return out;
}

constexpr double root_two_over_pi = 0.797884560802865355880;
double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(root_two_over_pi * (x + 0.044715 * x * x * x)));
}
double gelu_slope(double x) {
  const double t = std::tanh(root_two_over_pi * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root_two_over_pi * (1 + 3 * 0.044715 * x * x);
}

bool any(const Product& p, std::uint32_t bits) { return (p.kind.epilogue & bits) != 0; }
constexpr std::uint32_t relu_bit = 2, bias_bit = 4, bgrad_bit = 16, gelu_bit = 32, dgelu_bit = 64,
                        aux_bit = 128;

bool fits(const MatrixLayout& layout, std::int64_t rows, std::int64_t columns) {
  return static_cast<std::int64_t>(layout.rows) == rows &&
         static_cast<std::int64_t>(layout.columns) == columns && layout.stride >= rows &&
         rows > 0 && columns > 0;
}
bool known_epilogue(std::uint32_t epilogue) {
  switch (epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU:
    case CUBLASLT_EPILOGUE_GELU_AUX:
    case CUBLASLT_EPILOGUE_GELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
    case CUBLASLT_EPILOGUE_DGELU:
    case CUBLASLT_EPILOGUE_DGELU_BGRAD:
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB:
      return true;
    default:
      return false;
  }
}
/// The rows of the documentation's table for cublasLtMatmul that have real floating-point types.
bool known_types(const Product& p) {
  const int in = static_cast<int>(p.a_layout.type), out = static_cast<int>(p.d_layout.type);
  if (p.b_layout.type != p.a_layout.type || p.c_layout.type != p.d_layout.type) return false;
  if (p.kind.compute == CUBLAS_COMPUTE_64F)
    return p.kind.scale == CUDA_R_64F && in == CUDA_R_64F && out == CUDA_R_64F;
  if (p.kind.scale != CUDA_R_32F) return false;
  if (p.kind.compute == CUBLAS_COMPUTE_32F_FAST_TF32) return in == CUDA_R_32F && out == CUDA_R_32F;
  if (p.kind.compute != CUBLAS_COMPUTE_32F) return false;
  if (in == CUDA_R_32F) return out == CUDA_R_32F;
  return (in == CUDA_R_16BF || in == CUDA_R_16F) && (out == in || out == CUDA_R_32F);
}
}  // namespace

std::size_t bytes_of_type(int type) {
  return type == CUDA_R_64F                          ? 8
         : type == CUDA_R_32F                        ? 4
         : type == CUDA_R_16BF || type == CUDA_R_16F ? 2
                                                     : 0;
}

cublasStatus_t judge(const Product& p) {
  const ProductKind& kind = p.kind;
  const std::int64_t m = p.m(), n = p.n(), k = p.k();
  const bool ta = kind.trans_a != CUBLAS_OP_N, tb = kind.trans_b != CUBLAS_OP_N;
  if (!fits(p.a_layout, ta ? k : m, ta ? m : k) || !fits(p.b_layout, tb ? n : k, tb ? k : n) ||
      !fits(p.c_layout, m, n) || !fits(p.d_layout, m, n))
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const MatrixLayout* layout : {&p.a_layout, &p.b_layout, &p.c_layout, &p.d_layout}) {
    if (layout->batches != p.d_layout.batches) return CUBLAS_STATUS_INVALID_VALUE;
    if (layout->order != CUBLASLT_ORDER_COL || layout->mode != 0)
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (kind.trans_c != CUBLAS_OP_N || kind.fill != CUBLAS_FILL_MODE_FULL ||
      kind.pointer_mode != CUBLASLT_POINTER_MODE_HOST || !known_types(p) ||
      !known_epilogue(kind.epilogue))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  const bool vector =
      any(p, bias_bit | bgrad_bit | CUBLASLT_EPILOGUE_BGRADA | CUBLASLT_EPILOGUE_BGRADB);
  if (vector && kind.bias == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (vector && p.bias_type() != static_cast<int>(p.d_layout.type))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (any(p, aux_bit)) {
    if (kind.aux == nullptr || kind.aux_stride % 8 != 0 || kind.aux_stride < m ||
        kind.aux_batch_stride % 8 != 0)
      return CUBLAS_STATUS_INVALID_VALUE;
    if (p.aux_type() != static_cast<int>(p.d_layout.type)) return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return CUBLAS_STATUS_SUCCESS;
}

static void compute_batch(const Product& p, int batch) {
  const bool tf32 = p.kind.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const Matrix a = load(p.a, p.a_layout, batch, p.kind.trans_a != CUBLAS_OP_N, tf32);
  const Matrix b = load(p.b, p.b_layout, batch, p.kind.trans_b != CUBLAS_OP_N, tf32);
  const std::int64_t m = p.m(), n = p.n(), from_vector = batch * p.kind.bias_batch_stride;
  Matrix d = p.alpha * (a * b);
  if (p.beta != 0) d += p.beta * load(p.c, p.c_layout, batch, false, false);  // else c is not read
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t i = 0; i < m; ++i) {
      const std::int64_t at_aux = batch * p.kind.aux_batch_stride + j * p.kind.aux_stride + i;
      double& x = d(i, j);
      if (any(p, bias_bit)) x += load(p.kind.bias, p.bias_type(), from_vector + i);
      if (any(p, gelu_bit) && any(p, aux_bit)) store(p.kind.aux, p.aux_type(), at_aux, x);
      if (any(p, gelu_bit)) x = gelu(x);
      if (any(p, relu_bit)) x = x > 0 || std::isnan(x) ? x : 0;
      if (any(p, dgelu_bit)) x *= gelu_slope(load(p.kind.aux, p.aux_type(), at_aux));
    }
  }
  const auto sums = [&](const auto& of) {
    for (Eigen::Index i = 0; i < of.size(); ++i)
      store(p.kind.bias, p.bias_type(), from_vector + i, of(i));
  };
  if (any(p, bgrad_bit)) sums(d.rowwise().sum().eval());
  if (p.kind.epilogue == CUBLASLT_EPILOGUE_BGRADA) sums(a.rowwise().sum().eval());
  if (p.kind.epilogue == CUBLASLT_EPILOGUE_BGRADB) sums(b.colwise().sum().eval());
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t i = 0; i < m; ++i) {
      store(p.d, static_cast<int>(p.d_layout.type),
            batch * p.d_layout.batch_stride + j * p.d_layout.stride + i, d(i, j));
    }
  }
}

void compute(const Product& product) {
  for (int batch = 0; batch < product.d_layout.batches; ++batch) compute_batch(product, batch);
}

}  // namespace cohort::cuda_double
