// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/layer_norm.hpp: LayerNorm on a GPU, also of a sum of two branches.
#pragma once
#include <cohort/ops/cuda/norm.hpp>
#include <cohort/ops/layer_norm.hpp>

namespace cohort::ops {

/// Cost     4 C + 8 bytes a row in 16 bits: x read once, y written once; weight and bias from L1.
/// Laws     a row's bits do not depend on the other rows. y may be x.
template <int C, class T>
void layer_norm_forward(const Cuda& device, int rows, const T* x, const T* weight, const T* bias,
                        T* y, accumulator_t<T>* mean, accumulator_t<T>* rstd,
                        accumulator_t<T> epsilon) {
  using K = kernels::NormForward<C, T, true, false>;
  cohort::cuda::launch(device, kernels::ceil_div(rows, K::Row::rows),
                       K{rows, x, nullptr, weight, bias, nullptr, y, mean, rstd, epsilon});
}

/// sum = a + b, rounded to T, and y = LayerNorm(sum), in one pass.
///
/// Shapes   a, b, sum, y [rows, C]; the rest as layer_norm_forward.
/// Cost     8 C + 8 bytes a row in 16 bits, where add and layer_norm_forward move 10 C + 8.
/// Laws     the bits of ops::add and then ops::layer_norm_forward. sum may be a or b.
template <int C, class T>
void residual_layer_norm_forward(const Cuda& device, int rows, const T* a, const T* b,
                                 const T* weight, const T* bias, T* sum, T* y,
                                 accumulator_t<T>* mean, accumulator_t<T>* rstd,
                                 accumulator_t<T> epsilon = accumulator_t<T>(1e-5)) {
  using K = kernels::NormForward<C, T, true, true>;
  cohort::cuda::launch(device, kernels::ceil_div(rows, K::Row::rows),
                       K{rows, a, b, weight, bias, sum, y, mean, rstd, epsilon});
}

/// Cost     6 C + 8 bytes a row in 16 bits: x and dy read once, dx written once.
/// Laws     dweight and dbias: at most 512 partial sums, added in an order that no GPU changes. dx may be dy.
template <int C, class T, class D>
void layer_norm_backward(const Cuda& device, int rows, const T* x, const T* weight,
                         const accumulator_t<T>* mean, const accumulator_t<T>* rstd, const T* dy,
                         T* dx, D* dweight, D* dbias, bool first) {
  kernels::norm_backward<C, true>(device, rows, x, weight, mean, rstd, dy, dx, dweight, dbias,
                                  first, "layer_norm_backward");
}

}  // namespace cohort::ops
