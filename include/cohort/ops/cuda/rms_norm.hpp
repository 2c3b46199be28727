// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/rms_norm.hpp: RMSNorm on a GPU.
#pragma once
#include <cohort/ops/cuda/norm.hpp>
#include <cohort/ops/rms_norm.hpp>

namespace cohort::ops {

/// Cost     4 C + 4 bytes a row in 16 bits: x read once, y written once; weight from L1.
/// Laws     a row's bits do not depend on the other rows. y may be x.
template <int C, class T>
void rms_norm_forward(const Cuda& device, int rows, const T* x, const T* weight, T* y,
                      accumulator_t<T>* rstd, accumulator_t<T> epsilon) {
  using K = kernels::NormForward<C, T, false>;
  cohort::cuda::launch(device, kernels::ceil_div(rows, K::Row::rows),
                       K{rows, x, weight, nullptr, y, nullptr, rstd, epsilon});
}

/// Cost     6 C + 4 bytes a row in 16 bits: x and dy read once, dx written once; a residual 2 C more.
/// Laws     dweight: at most 512 partial sums, added in an order that no GPU changes. dx may be dy, and
///          residual either. The sum with it is rounded as on the CPU.
template <int C, class T, class D, class... Residual>
requires(sizeof...(Residual) <=
         1) void rms_norm_backward(const Cuda& device, int rows, const T* x, const T* weight,
                                   const accumulator_t<T>* rstd, const T* dy, T* dx, D* dweight,
                                   bool first, const Residual*... residual) {
  const T* added = nullptr;
  ((added = residual), ...);
  kernels::norm_backward<C, false, sizeof...(Residual) == 1, T, D>(
      device, rows, x, weight, nullptr, rstd, dy, added, dx, dweight, nullptr, first,
      "rms_norm_backward");
}

}  // namespace cohort::ops
