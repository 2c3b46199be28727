// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/concepts/residual.hpp: layers that add to their result while they write it.
#pragma once

namespace cohort {

/// The layer says `static constexpr bool adds_forward = true;` and has a second forward:
/// `forward(ctx, p, x, residual)` returns y = residual + what forward(ctx, p, x) returns.
///
/// Shapes   residual is [rows, Output], a tensor that forward neither writes nor keeps.
/// Cost     nn::Residual then makes no result of the layer inside: rows x Output elements less of
///          activations, and one pass over memory less.
template <class L>
concept AddsForward = requires {
  requires L::adds_forward;
};

/// The layer says `static constexpr bool adds_backward = true;` and has a second backward:
/// `backward(ctx, p, saved, dy, g, residual)` returns dx = residual + what backward without it returns.
///
/// Shapes   residual is [rows, Input], may be dy, and is not written.
template <class L>
concept AddsBackward = requires {
  requires L::adds_backward;
};

}  // namespace cohort
