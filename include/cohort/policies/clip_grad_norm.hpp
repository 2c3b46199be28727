// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/clip_grad_norm.hpp: scale the gradient so that its global L2 norm has a maximum.
#pragma once
#include <cohort/concepts/policy.hpp>

namespace cohort {

/// Multiplies the gradient by min(1, max_norm / (norm + 1e-6)), folded into the optimizer's pass.
///
/// Units    the norm is that of the mean gradient over the global batch, in fp64, from an exact
///          sum: the same number on every rank and under every strategy.
/// Comm     under Replicate none: every rank holds the whole reduced gradient.
/// Cost     one read of the gradient.
/// Errors   run time: NonFinite on every rank when the norm is NaN or infinite; parameters stay as
///          they were.
/// Source   torch.nn.utils.clip_grad_norm_.
struct ClipGradNorm {
  using slot = slots::clipping;
  /// `.clip` of a run's options.
  struct Options {
    double max_norm = 1.0;
  };
  static constexpr bool needs_norm = true, clips_values = false;
};

/// The default of the slot: gradients pass as they are and no norm is computed.
struct NoClip {
  using slot = slots::clipping;
  /// Nothing to set: a maximum does not compile, and the error says what to add.
  struct Options {
    Unset max_norm{}, max_value{};
  };
  static constexpr bool needs_norm = false, clips_values = false;
};

static_assert(Policy<ClipGradNorm> && Policy<NoClip>);

}  // namespace cohort
