// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/silu.hpp: the sigmoid linear unit x / (1 + e^-x), alone and as the gate of a product.
#pragma once
#include <cohort/ops/gelu.hpp>
#include <cstddef>

namespace cohort::ops {

/// x s with s = 1 / (1 + e^-x). The slope is s + x s (1 - s): where s is nearly 1, 1 - s comes from e^-x.
struct Silu {
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr V value(V x, Maths = {}) {
    return x * Maths::reciprocal(Maths::exp(-x) + detail::number<V>(1.0));
  }
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr V slope(V x, Maths maths = {}) {
    return both(x, maths).slope;
  }
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr ValueAndSlope<V> both(V x, Maths = {}) {
    const V e = Maths::exp(-x);
    const V s = Maths::reciprocal(e + detail::number<V>(1.0));
    const V spread = select(x < V{}, fma(-s, s, s), e * (s * s));
    return {x * s, fma(x, spread, s)};
  }
};

/// y = silu(x), element by element. y may be x. Of 16-bit elements it is computed in fp32, rounded once.
///
/// Source   Elfwing, Uchibe and Doya 2017, arXiv:1702.03118.
template <class G, class T> void silu_forward(const Cpu<G>&, std::size_t n, const T* x, T* y) {
  map(
      n, [](auto v) { return Silu::value(v); }, y, x);
}

/// dx = dy silu'(x) from the saved input. dx may be dy or x.
template <class G, class T>
void silu_backward(const Cpu<G>&, std::size_t n, const T* x, const T* dy, T* dx) {
  map(
      n, [](auto v, auto d) { return d * Silu::slope(v); }, dx, x, dy);
}

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

// The same on a GPU: ops/cuda/silu.hpp.
template <class T> void silu_forward(const Cuda&, std::size_t n, const T* x, T* y);
template <class T> void silu_backward(const Cuda&, std::size_t n, const T* x, const T* dy, T* dx);
template <int C, class T> void swiglu_forward(const Cuda&, int rows, const T* x, T* y);
template <int C, class T>
void swiglu_backward(const Cuda&, int rows, const T* x, const T* dy, T* dx);

}  // namespace cohort::ops
