// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/relu.hpp: the rectifier on a GPU.
#pragma once
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/relu.hpp>

namespace cohort::ops {

namespace kernels {
/// NaN is not below 0 and stays.
struct Rectified {
  template <class A> COHORT_HOST_DEVICE constexpr A operator()(A x) const {
    return x < A(0) ? A(0) : x;
  }
};
struct WherePositive {
  template <class A> COHORT_HOST_DEVICE constexpr A operator()(A x, A dy) const {
    return x <= A(0) ? A(0) : dy;
  }
};
}  // namespace kernels

/// Cost     4 bytes an element in 16 bits: one read, one write.
template <class T> void relu_forward(const Cuda& device, std::size_t n, const T* x, T* y) {
  kernels::map(device, n, kernels::Rectified{}, y, x);
}

/// Cost     6 bytes an element in 16 bits: two reads, one write.
template <class T>
void relu_backward(const Cuda& device, std::size_t n, const T* x, const T* dy, T* dx) {
  kernels::map(device, n, kernels::WherePositive{}, dx, x, dy);
}

}  // namespace cohort::ops
