// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/silu.hpp: the sigmoid linear unit x / (1 + e^-x).
#pragma once
#include <cohort/ops/activation.hpp>

namespace cohort::ops {

/// x s with s = 1 / (1 + e^-x). The slope is s + x s (1 - s): where s is nearly 1, 1 - s comes from e^-x.
///
/// Source   Elfwing, Uchibe and Doya 2017, arXiv:1702.03118.
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

}  // namespace cohort::ops
