// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/repeat.hpp: N copies of one layer, one after the other, each with parameters of its
// own.
#pragma once
#include <cohort/concepts/layer.hpp>
#include <new>

namespace cohort::nn {

/// The layer can follow itself.
template <class L>
concept SameInAndOut = DeclaresExtents<L> && std::is_same_v<typename L::Input, typename L::Output>;

namespace detail {
template <int N, class L> struct NotRepeatable {
  static void say() {
    static_assert(N > 0 && SameInAndOut<L>,
                  "cohort: Repeat<N, L> needs a layer L whose Output is its Input, and N above "
                  "zero. [cohort/nn/repeat.hpp]");
  }
};
}  // namespace detail

/// Chosen only when the element cannot follow itself: says so in one sentence, then stops.
template <int N, class L> struct Repeat : cohort::detail::RefusedLayer {
  static_assert(cohort::detail::said<detail::NotRepeatable<N, L>>());
};

/// Applies N elements in order. Each element of an outermost Repeat is a unit: what strategies
/// gather, reduce and overlap by default. The body is compiled once, whatever N is.
///
/// Cost     saved values of the elements lie in the activation arena; in backward two gradients
///          live at once.
template <int N, class L>
requires(SameInAndOut<L>&& N > 0) struct Repeat<N, L> {
  using Element = L;
  static constexpr int repeat = N;
  using Input = typename L::Input;
  using Output = typename L::Output;

  template <class Ctx, class P, class X> static auto forward(Ctx& ctx, const P& p, X x) {
    using R = decltype(cohort::forward(ctx, p.element(0), x));
    using S = decltype(R::saved);
    if constexpr (!Ctx::train) {
      for (int i = 0; i < N; ++i) x = cohort::forward(ctx, p.element(i), x).y;
      return Out{x, Nothing{}};
    } else {
      static_assert(std::is_trivially_destructible_v<S>);
      SavedArray<S, N> saved{ctx.template make_array<S>(N)};
      for (int i = 0; i < N; ++i) {
        const auto r = cohort::forward(ctx, p.element(i), x);
        ::new (saved.data + i) S(r.saved);
        x = r.y;
      }
      return Out{x, saved};
    }
  }
  template <class Ctx, class P, class S, class D, class G>
  static auto backward(Ctx& ctx, const P& p, const S& saved, D dy, const G& g) {
    const auto mark = ctx.results().mark();
    auto dx = step(ctx, p, saved, dy, g, N - 1, mark);
    for (int i = N - 1; i-- > 0;) dx = step(ctx, p, saved, dx.view(), g, i, mark);
    return dx;
  }
  template <class T> static constexpr BackwardBytes backward_bytes(Rows rows) {
    const BackwardBytes c = cohort::backward_bytes<L, T>(rows);
    return {N > 1 ? c.result + c.peak : c.peak, c.result};
  }

 private:
  /// dx goes to the caller's end for even i and to the opposite for odd i; the dy it was made from
  /// is released.
  template <class Ctx, class P, class S, class D, class G>
  static auto step(Ctx& ctx, const P& p, const S& saved, D dy, const G& g, int i,
                   Arena::Mark mark) {
    const Ctx here = i % 2 == 0 ? ctx : ctx.opposite();
    const auto dx = cohort::backward(here, p.element(i), saved[i], dy, g.element(i));
    if (dx.data != static_cast<const void*>(dy.data))
      ctx.results().release(mark, here.opposite().end());
    return dx;
  }
};

}  // namespace cohort::nn
