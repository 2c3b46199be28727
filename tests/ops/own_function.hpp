// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/own_function.hpp: a function of single elements as a user writes one.
#pragma once
#include <cohort/ops/activation.hpp>

namespace cohort::testing {

/// x^2, and x / 8 below 0.
struct LeakySquare {
  template <class V, class Maths> COHORT_HOST_DEVICE static constexpr V value(V x, Maths) {
    return ops::select(x < V{}, 0.125f * x, x * x);
  }
  template <class V, class Maths> COHORT_HOST_DEVICE static constexpr V slope(V x, Maths) {
    return ops::select(x < V{}, V{} + 0.125f, x + x);
  }
};

}  // namespace cohort::testing
