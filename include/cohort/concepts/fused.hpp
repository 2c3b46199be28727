// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/concepts/fused.hpp: what layers can do to a result while they write it.
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

/// Asks a forward for what it keeps, and not for its result.
struct NoResult {
  struct Data {
  } data;
};
/// The layer says `static constexpr bool skips_forward = true;` and has one more forward:
/// `forward(ctx, p, x, NoResult{})` returns a y that nobody reads, of any values.
///
/// Cost     nn::Checkpointed then spares the product that ends the layer inside.
template <class L>
concept SkipsForward = requires {
  requires L::skips_forward;
};

/// The layer says `static constexpr bool adds_backward = true;` and has a second backward:
/// `backward(ctx, p, saved, dy, g, residual)` returns dx = residual + what backward without it returns.
///
/// Shapes   residual is [rows, Input], may be dy, and is not written.
template <class L>
concept AddsBackward = requires {
  requires L::adds_backward;
};

/// The layer says `static constexpr bool multiplies_backward = true;` and has another backward:
/// `backward(ctx, p, saved, dy, g, slope)` returns dx = what backward without it returns times `slope`,
/// which `LeavesSlope::slope` of the layer before it gave.
template <class L>
concept MultipliesBackward = requires {
  requires L::multiplies_backward;
};

/// The layer ends with a function of single elements, y = f(z). `L::BeforeProduct` is the same layer for a
/// place before one that MultipliesBackward: it says `static constexpr bool takes_dz = true;`, its
/// `slope(saved)` what dy must be multiplied by, and its backward takes dz instead of dy.
///
/// Cost     nn::Sequential then makes no dy beside dz: one pass over memory less.
template <class L>
concept LeavesSlope = requires {
  typename L::BeforeProduct;
};
/// A BeforeProduct in its place.
template <class L>
concept TakesDz = requires {
  requires L::takes_dz;
};

}  // namespace cohort
