// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/residual.hpp: y = x + inner(x).
#pragma once
#include <cohort/concepts/fused.hpp>
#include <cohort/concepts/layer.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/ops/elementwise.hpp>

namespace cohort::nn {

namespace detail {
template <class L> struct NotAddable {
  static void say() {
    static_assert(SameInAndOut<L>,
                  "cohort: Residual<L> adds the input to the output, so L must be a layer whose "
                  "Output is its Input. [cohort/nn/residual.hpp]");
  }
};
}  // namespace detail

/// Chosen only when inner changes the extents: says so in one sentence, then stops.
template <class L> struct Residual : cohort::detail::RefusedLayer {
  static_assert(cohort::detail::said<detail::NotAddable<L>>());
};

/// A skip connection around one layer.
///
/// Shapes   x, y [rows, C].
/// Units    16-bit T: inner's result and the sum, taken in fp32, are each rounded once; of a product on
///          a GPU their sum alone.
/// Cost     nothing of its own where inner adds (concepts/fused.hpp): a block that begins with a
///          norm and ends with a projection does. Else two sums and one tensor of activations.
/// Source   He et al. 2015, arXiv:1512.03385.
template <class L>
requires SameInAndOut<L>
struct Residual<L> {
  using Children = cohort::Children<Child<"inner", L>>;
  using Input = typename L::Input;
  using Output = typename L::Output;

  static constexpr bool skips_forward = SkipsForward<L>;

  template <class Ctx, class P, class T, int C, class Where>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, C, Where> x, NoResult none) {
    const auto nothing = cohort::forward(ctx, p["inner"_p], x, none);
    return Out{nothing.y, keep(ctx, "inner"_p = nothing.saved)};
  }
  template <class Ctx, class P, class T, int C, class Where>
  static auto forward(Ctx& ctx, const P& p, Tensor<const T, C, Where> x) {
    if constexpr (AddsForward<L>) {
      const auto sum = cohort::forward(ctx, p["inner"_p], x, x);
      return Out{sum.y, keep(ctx, "inner"_p = sum.saved)};
    } else {
      const auto inner = cohort::forward(ctx, p["inner"_p], x);
      const auto y = ctx.like(x);
      ops::add(ctx.device(), x.size(), x.data, inner.y.data, y.data);
      return Out{y, keep(ctx, "inner"_p = inner.saved)};
    }
  }
  template <class Ctx, class P, class S, class T, int C, class G, class Where>
  static auto backward(Ctx& ctx, const P& p, const S& s, Tensor<const T, C, Where> dy, const G& g) {
    if constexpr (AddsBackward<L>) {
      return cohort::backward(ctx, p["inner"_p], s["inner"_p], dy, g["inner"_p], dy);
    } else {
      const auto dinner = cohort::backward(ctx, p["inner"_p], s["inner"_p], dy, g["inner"_p]);
      if constexpr (std::is_same_v<decltype(dinner), const Tensor<T, C, Where>>) {
        ops::add_to(ctx.device(), dy.size(), dinner.data, dy.data);
        return dinner;
      } else {  // inner passed dy on without a result of its own
        const auto dx = ctx.like(dy);
        ops::add(ctx.device(), dy.size(), dinner.data, dy.data, dx.data);
        return dx;
      }
    }
  }
  template <class T> static constexpr BackwardBytes backward_bytes(Rows rows) {
    return cohort::backward_bytes<L, T>(rows);
  }
};

}  // namespace cohort::nn
