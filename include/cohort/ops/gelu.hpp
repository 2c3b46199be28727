// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gelu.hpp: the Gaussian error linear unit, exact and in its tanh approximation.
#pragma once
#include <cohort/ops/activation.hpp>

namespace cohort::ops {

/// x Phi(x), Phi the normal distribution: (1 + erf(x / sqrt 2)) / 2, PyTorch's default.
///
/// In float, Phi(-t) = exp(-t^2 / 2) M(t) for t >= 0, and Phi(t) = 1 - Phi(-t). M, half of the scaled
/// complementary error function of t / sqrt 2, is smooth: a polynomial for t <= 5.5, beyond which the
/// factor before it is below 3e-7. Phi is good to 1.2e-7, and the slope needs no second exponential.
///
/// Source   Hendrycks and Gimpel 2016, arXiv:1606.08415.
struct GeluErf {
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr V value(V x, Maths maths = {}) {
    return x * cdf(x, gaussian(x, maths));
  }
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr V slope(V x, Maths maths = {}) {
    return both(x, maths).slope;
  }
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr ValueAndSlope<V> both(V x, Maths maths = {}) {
    const V g = gaussian(x, maths), phi = cdf(x, g);
    return {x * phi, fma(x * detail::number<V>(0.39894228040143268), g, phi)};
  }

 private:
  template <class V, class Maths> COHORT_HOST_DEVICE static constexpr V gaussian(V x, Maths) {
    return Maths::exp_flushed((x * detail::number<V>(-0.5)) * x);
  }
  template <class V> COHORT_HOST_DEVICE static constexpr V cdf(V x, V gaussian) {
    if constexpr (detail::is_double<V>) {
      return detail::each_lane([](double v) { return 0.5 * std::erfc(v * -0.70710678118654752); },
                               x);
    } else {
      const V limit = detail::constant<V>(5.5f);
      V t = detail::magnitude(x);
      t = select(t > limit, limit, t);
      const V m =
          detail::polynomial(t, 0.5f, -0.3989412746f, 0.2499829802f, -0.1328681057f, 0.06211390744f,
                             -0.02580808366f, 0.009374940717f, -0.002855157794f, 0.000687837326f,
                             -0.0001225587206f, 1.488011145e-5f, -1.084579759e-6f, 3.54955209e-8f);
      const V below = gaussian * m, above = fma(-gaussian, m, detail::constant<V>(1.0f));
      return select(x < V{}, below, above);
    }
  }
};

/// x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), computed as x / (1 + exp(-2 u)):
/// the same function without the cancellation in 1 + tanh.
///
/// The slope is s + 2 x u' s (1 - s) with s = 1 / (1 + e), e = exp(-2 u). 2 x u' is a hundred at x = 7:
/// where s is nearly 1, 1 - s comes from e, whose error is relative.
struct GeluTanh {
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr V value(V x, Maths maths = {}) {
    return x * Maths::reciprocal(exponential(x, maths) + detail::number<V>(1.0));
  }
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr V slope(V x, Maths maths = {}) {
    return both(x, maths).slope;
  }
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr ValueAndSlope<V> both(V x, Maths maths = {}) {
    const V e = exponential(x, maths);
    const V s = Maths::reciprocal(e + detail::number<V>(1.0));
    const V spread = select(x < V{}, fma(-s, s, s), e * (s * s));
    const V du =
        fma(x * x, detail::number<V>(0.21406444881780076), detail::number<V>(1.5957691216057308));
    return {x * s, fma(x * du, spread, s)};
  }

 private:
  template <class V, class Maths> COHORT_HOST_DEVICE static constexpr V exponential(V x, Maths) {
    const V odd = fma(detail::number<V>(0.044715), x * x, detail::number<V>(1.0));
    return Maths::exp(x * odd * detail::number<V>(-1.5957691216057308));
  }
};

/// What gelu's gradient is made of, by what forward left in `at`: the slope on a CPU, gelu's input on a GPU.
///
/// Shapes   at[rows, columns] without gaps.
template <class How, class T> struct GeluSlope { const T* at; };

}  // namespace cohort::ops
