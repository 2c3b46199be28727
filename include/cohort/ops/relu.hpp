// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/relu.hpp: the rectifier max(x, 0).
#pragma once
#include <cohort/device/cpu.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>

namespace cohort::ops {

/// y = max(x, 0); NaN stays NaN. y may be x.
template <class G, class T> void relu_forward(const Cpu<G>&, std::size_t n, const T* x, T* y) {
  map(
      n, [](auto v) { return select(v < decltype(v){}, decltype(v){}, v); }, y, x);
}

/// dx = dy where x > 0, else 0 (0 at x = 0, as PyTorch). x may be the saved input or the saved
/// output, which have the same sign; dx may be dy.
template <class G, class T>
void relu_backward(const Cpu<G>&, std::size_t n, const T* x, const T* dy, T* dx) {
  map(
      n, [](auto v, auto d) { return select(v <= decltype(v){}, decltype(v){}, d); }, dx, x, dy);
}

// The same on a GPU: ops/cuda/relu.hpp.
template <class T> void relu_forward(const Cuda&, std::size_t n, const T* x, T* y);
template <class T> void relu_backward(const Cuda&, std::size_t n, const T* x, const T* dy, T* dx);

}  // namespace cohort::ops
