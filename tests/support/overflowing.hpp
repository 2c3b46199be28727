// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/overflowing.hpp: a loss whose gradient overflows on the ranks that say so.
#pragma once
#include <cohort/nn/losses.hpp>
#include <limits>

namespace cohort::test {

/// Cross entropy whose gradient holds an infinity while this thread says so.
struct Overflowing : nn::CrossEntropy {
  static inline thread_local bool now = false;
  template <class Ctx, class T, int V>
  static auto forward(Ctx& ctx, Tensor<const T, V> y, Tokens target, float scale = 1) {
    const auto out = nn::CrossEntropy::forward(ctx, y, target, scale);
    if (now) out.dy.data[0] = T(std::numeric_limits<float>::infinity());
    return out;
  }
};

}  // namespace cohort::test
