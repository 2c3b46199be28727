// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/elementwise.hpp: sums, scaling and filling of flat arrays.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>

/// 16-bit elements are worked on in fp32 and rounded once, when they are stored.
namespace cohort::ops {

/// y = a + b. y may be a or b.
template <class G, class T> void add(const Cpu<G>&, std::size_t n, const T* a, const T* b, T* y) {
  map(
      n, [](auto u, auto v) { return u + v; }, y, a, b);
}

/// a += b; a may be an fp32 gradient and b of 16 bits.
template <class G, class D, class T> void add_to(const Cpu<G>&, std::size_t n, D* a, const T* b) {
  map(
      n, [](auto u, auto v) { return u + v; }, a, static_cast<const D*>(a), b);
}

/// y = a b, element by element. y may be a or b.
template <class G, class T>
void multiply(const Cpu<G>&, std::size_t n, const T* a, const T* b, T* y) {
  map(
      n, [](auto u, auto v) { return u * v; }, y, a, b);
}

/// a *= factor.
template <class G, class T>
void scale(const Cpu<G>&, std::size_t n, T* a, accumulator_t<T> factor) {
  map(
      n, [factor](auto u) { return u * factor; }, a, static_cast<const T*>(a));
}

/// y = a limited to [-limit, limit]; NaN stays NaN. y may be a.
template <class G, class T> void clamp(const Cpu<G>&, std::size_t n, const T* a, T limit, T* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = a[i] < -limit ? -limit : a[i] > limit ? limit : a[i];
}

/// a = value.
template <class G, class T> void fill(const Cpu<G>&, std::size_t n, T* a, T value) {
  for (std::size_t i = 0; i < n; ++i) a[i] = value;
}

/// y = a, bit by bit; they do not overlap.
template <class G, class T> void copy(const Cpu<G>& device, std::size_t n, const T* a, T* y) {
  device.copy(y, a, n * sizeof(T));
}

// The same on a GPU, without clamp: ops/cuda/elementwise.hpp.
template <class T> void add(const Cuda&, std::size_t n, const T* a, const T* b, T* y);
template <class D, class T> void add_to(const Cuda&, std::size_t n, D* a, const T* b);
template <class T> void multiply(const Cuda&, std::size_t n, const T* a, const T* b, T* y);
template <class T> void scale(const Cuda&, std::size_t n, T* a, accumulator_t<T> factor);
template <class T> void fill(const Cuda&, std::size_t n, T* a, T value);
template <class T> void copy(const Cuda&, std::size_t n, const T* a, T* y);

}  // namespace cohort::ops
