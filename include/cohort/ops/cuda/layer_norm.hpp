// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/layer_norm.hpp: LayerNorm on a GPU.
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
  using K = kernels::NormForward<C, T, true>;
  cohort::cuda::launch(device, kernels::ceil_div(rows, K::Row::rows),
                       K{rows, x, weight, bias, y, mean, rstd, epsilon});
}

/// Cost     6 C + 8 bytes a row in 16 bits: x and dy read once, dx written once; a residual 2 C more.
/// Laws     dweight and dbias: at most 512 partial sums, added in an order that no GPU changes. dx may be
///          dy, and residual either. The sum with a residual is rounded as on the CPU.
template <int C, class T, class D, class... Residual>
requires(sizeof...(Residual) <=
         1) void layer_norm_backward(const Cuda& device, int rows, const T* x, const T* weight,
                                     const accumulator_t<T>* mean, const accumulator_t<T>* rstd,
                                     const T* dy, T* dx, D* dweight, D* dbias, bool first,
                                     const Residual*... residual) {
  const T* added = nullptr;
  ((added = residual), ...);
  kernels::norm_backward<C, true, sizeof...(Residual) == 1>(device, rows, x, weight, mean, rstd, dy,
                                                            added, dx, dweight, dbias, first,
                                                            "layer_norm_backward");
}

}  // namespace cohort::ops
