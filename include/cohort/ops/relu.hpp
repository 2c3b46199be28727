// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/relu.hpp: the rectifier max(x, 0).
#pragma once
#include <cohort/ops/activation.hpp>

namespace cohort::ops {

/// max(x, 0); NaN stays NaN. dx = dy where x > 0, else 0 (0 at x = 0, as PyTorch), whatever dy is: no product
/// with a slope. The saved output, which has the input's sign, serves backward as well.
struct Relu {
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr V value(V x, Maths = {}) {
    return select(x < V{}, V{}, x);
  }
  template <class V, class Maths = OwnMaths>
  COHORT_HOST_DEVICE static constexpr V chain(V x, V dy, Maths = {}) {
    return select(x <= V{}, V{}, dy);
  }
};

}  // namespace cohort::ops
