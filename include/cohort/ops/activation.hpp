// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/activation.hpp: a function of single elements, forward and backward.
#pragma once
#include <cohort/core/host_device.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/math.hpp>
#include <cohort/ops/vector.hpp>
#include <concepts>
#include <cstddef>

namespace cohort::ops {

/// What a layer that keeps its slope wants of an activation.
template <class V> struct ValueAndSlope { V value, slope; };

namespace detail {
/// What dy becomes on its way through F at x.
template <class F, class V, class Maths>
COHORT_HOST_DEVICE constexpr V chain(V x, V dy, Maths maths) {
  if constexpr (requires { F::chain(x, dy, maths); })
    return F::chain(x, dy, maths);
  else
    return dy * F::slope(x, maths);
}
}  // namespace detail

/// A function of single elements: V value(V, Maths), and slope or chain (activation_forward says more).
template <class F, class V = Vec<float>>
concept ElementFunction = requires(V x, OwnMaths maths) {
  { F::value(x, maths) } -> std::same_as<V>;
}
&&(
    requires(V x, OwnMaths maths) {
      { F::slope(x, maths) } -> std::same_as<V>;
    } ||
    requires(V x, OwnMaths maths) {
      { F::chain(x, x, maths) } -> std::same_as<V>;
    });

/// y = F(x), element by element. y may be x. Of 16-bit elements it is computed in fp32, rounded once.
///
/// F is Relu, GeluErf, GeluTanh, Silu, or a type of yours with two static functions:
///
///   struct Squared {  // x^2
///     template <class V, class Maths>
///     COHORT_HOST_DEVICE static constexpr V value(V x, Maths) { return x * x; }
///     template <class V, class Maths>
///     COHORT_HOST_DEVICE static constexpr V slope(V x, Maths) { return x + x; }
///   };
///
/// V is float or double, on a CPU a register full of them: ops::select(x < V{}, a, b) chooses, constants are
/// floats (0.5f * x, V{} + 0.5f). Maths has
/// exp, exp_flushed and reciprocal as the device computes them (OwnMaths). Where dx is not dy slope(x),
/// chain(x, dy, maths) takes slope's place (Relu).
///
/// Cost     gelu and silu: 0.5 ns an element, backward too (AVX-512, 768 x 512 floats).
template <class F, class G, class T>
void activation_forward(const Cpu<G>&, std::size_t n, const T* x, T* y) {
  map(
      n, [](auto v) { return F::value(v, OwnMaths{}); }, y, x);
}

/// The same, and slope = F'(x): both(x, maths) of F is a ValueAndSlope. y or slope may be x.
template <class F, class G, class T>
void activation_forward(const Cpu<G>&, std::size_t n, const T* x, T* y, T* slope) {
  constexpr std::size_t step = lanes<accumulator_t<T>>;
  for (std::size_t i = 0; i < n; i += step) {
    const int count = static_cast<int>(n - i < step ? n - i : step);
    const auto both = F::both(load_up_to(x + i, count), OwnMaths{});
    store_up_to(y + i, both.value, count);
    store_up_to(slope + i, both.slope, count);
  }
}

/// dx = dy F'(x) from the saved input. dx may be dy or x.
template <class F, class G, class T>
void activation_backward(const Cpu<G>&, std::size_t n, const T* x, const T* dy, T* dx) {
  map(
      n, [](auto v, auto d) { return detail::chain<F>(v, d, OwnMaths{}); }, dx, x, dy);
}

// The same on a GPU: ops/cuda/activation.hpp.
template <class F, class T> void activation_forward(const Cuda&, std::size_t n, const T* x, T* y);
template <class F, class T>
void activation_forward(const Cuda&, std::size_t n, const T* x, T* y, T* slope);
template <class F, class T>
void activation_backward(const Cuda&, std::size_t n, const T* x, const T* dy, T* dx);

}  // namespace cohort::ops
