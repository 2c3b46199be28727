// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/clip_grad_value.hpp: every element of the gradient has a limit.
#pragma once
#include <cohort/concepts/policy.hpp>

namespace cohort {

/// Limits each element of the gradient to [-max_value, max_value] on its way to the optimizer.
///
/// Units    elements of the mean gradient over the global batch, as the optimizer sees it. The gradient
///          itself stays as it is: gather_gradients gives it unlimited.
/// Comm     none: an element needs no other one.
/// Cost     pieces of the gradient are written to scratch (64 KiB) and read again in cache.
/// Errors   compile time: on GPUs, where it has no body yet. A NaN passes and is no error, as without
///          clipping.
/// Laws     the same bits under every strategy (tests/policies/clip_grad_value_test.cpp).
/// Source   torch.nn.utils.clip_grad_value_.
struct ClipGradValue {
  using slot = slots::clipping;
  /// max_value: the most that an element of the mean gradient may be, either way.
  struct Options {
    double max_value = 1.0;
  };
  static constexpr bool needs_norm = false, clips_values = true;
};

static_assert(Policy<ClipGradValue>);

}  // namespace cohort
