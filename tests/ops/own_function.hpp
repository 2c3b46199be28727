// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/own_function.hpp: a function of single elements as a user writes one.
#pragma once
#include <cohort/ops/activation.hpp>

namespace cohort::testing {

/// x^2 where x > 0, else 0 (So et al. 2021, arXiv:2109.08668).
struct SquaredRelu {
  template <class V, class Maths> COHORT_HOST_DEVICE static constexpr V value(V x, Maths) {
    return ops::select(x < V{}, V{}, x * x);
  }
  template <class V, class Maths> COHORT_HOST_DEVICE static constexpr V slope(V x, Maths) {
    return ops::select(x < V{}, V{}, x + x);
  }
};

}  // namespace cohort::testing
