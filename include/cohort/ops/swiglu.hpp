// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/swiglu.hpp: silu as the gate of a product.
#pragma once
#include <cohort/ops/silu.hpp>

namespace cohort::ops {

/// y = silu(gate) up, row by row.
///
/// Shapes   x [rows, 2 C]: gate in the first C columns, up in the others; y [rows, C].
/// Laws     of 16-bit elements the product is rounded once, silu(gate) not by itself.
/// Source   Shazeer 2020, arXiv:2002.05202.
template <int C, class G, class T> void swiglu_forward(const Cpu<G>&, int rows, const T* x, T* y) {
  for (int row = 0; row < rows; ++row, x += 2 * C, y += C)
    map(
        C, [](auto gate, auto up) { return Silu::value(gate) * up; }, y, x, x + C);
}

/// dx = [dy up silu'(gate) | dy silu(gate)] from the saved input.
///
/// Shapes   x, dx [rows, 2 C]; dy [rows, C]. dx may be x.
template <int C, class G, class T>
void swiglu_backward(const Cpu<G>&, int rows, const T* x, const T* dy, T* dx) {
  using A = accumulator_t<T>;
  for (int row = 0; row < rows; ++row, x += 2 * C, dy += C, dx += 2 * C)
    for_vectors<C, A>([&](int c, auto count) {
      const auto up = load(x + C + c, count), d = load(dy + c, count);
      const auto gate = Silu::both(load(x + c, count));
      store(dx + c, (d * up) * gate.slope, count);
      store(dx + C + c, d * gate.value, count);
    });
}

// The same on a GPU: ops/cuda/swiglu.hpp.
template <int C, class T> void swiglu_forward(const Cuda&, int rows, const T* x, T* y);
template <int C, class T>
void swiglu_backward(const Cuda&, int rows, const T* x, const T* dy, T* dx);

}  // namespace cohort::ops
