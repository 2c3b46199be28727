// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/sequential.hpp: layers one after the other.
#pragma once
#include <cohort/concepts/fused.hpp>
#include <cohort/concepts/layer.hpp>

namespace cohort::nn {

namespace detail {
/// L before Next: whether L's end is left to Next's product (concepts/fused.hpp).
template <class L, class Next> struct placed_before { using type = L; };
template <LeavesSlope L, MultipliesBackward Next> struct placed_before<L, Next> {
  using type = typename L::BeforeProduct;
};
template <class... L> struct list {};
template <class First, class... Rest> auto followers(list<First, Rest...>) -> list<Rest..., void>;
template <class Seq, class Ls, class Followers> struct indexed_children;
template <int... I, class... L, class... Next>
struct indexed_children<std::integer_sequence<int, I...>, list<L...>, list<Next...>> {
  using type = cohort::Children<
      cohort::detail::NamedChild<IndexName<I>, typename placed_before<L, Next>::type>...>;
};
template <class L, class... Rest> struct first_of { using type = L; };
template <class... L> struct last_of {
  using type = std::tuple_element_t<sizeof...(L) - 1, std::tuple<L...>>;
};

/// Does B take what A gives? What was refused before fits everywhere.
template <class A, class B> consteval bool fits() {
  if constexpr (std::is_same_v<typename A::Output, typename B::Input>)
    return true;
  else
    return cohort::detail::holds_refused<A>() || cohort::detail::holds_refused<B>();
}
template <class... L> struct chained : std::true_type {};
template <class A, class B, class... Rest>
struct chained<A, B, Rest...> : std::bool_constant<fits<A, B>() && chained<B, Rest...>::value> {};
}  // namespace detail

/// Every element is a layer, and each takes what the one before it gives.
template <class... L>
concept Chain = (sizeof...(L) > 0) && (DeclaresExtents<L> && ...);
/// Each layer takes what the one before it gives.
template <class... L>
concept FittingChain = Chain<L...> && detail::chained<L...>::value;

namespace detail {
/// Exactly one sentence for a list that is no chain of layers.
template <class... L> struct NoChain {
  static void say() {
    if constexpr (sizeof...(L) == 0)
      static_assert(sizeof...(L) > 0,
                    "cohort: Sequential was given no layer. Give it one or more. "
                    "[cohort/nn/sequential.hpp]");
    else if constexpr (!Chain<L...>)
      static_assert(Chain<L...>,
                    "cohort: Sequential was given something that is not a layer. Every element "
                    "needs 'using Input = ...;' and 'using Output = ...;', a forward and a "
                    "backward. [cohort/nn/sequential.hpp]");
    else
      static_assert(FittingChain<L...>,
                    "cohort: two neighbours in Sequential do not fit: the Output of one is not "
                    "the Input of the next. Change an extent, or put a Linear between them. "
                    "[cohort/nn/sequential.hpp]");
  }
};
}  // namespace detail

/// Chosen only when the elements are no fitting chain: says why in one sentence, then stops.
template <class... L> struct Sequential : cohort::detail::RefusedLayer {
  static_assert(cohort::detail::said<detail::NoChain<L...>>());
};

/// Calls its elements in order; children are named "0", "1", ...
///
/// Shapes   Input of the first, Output of the last; seams are checked at compile time.
/// Cost     no memory of its own; in backward at most two neighbours' gradients live at once.
template <class... L>
requires FittingChain<L...>
struct Sequential<L...> {
  using Children =
      typename detail::indexed_children<std::make_integer_sequence<int, sizeof...(L)>,
                                        detail::list<L...>,
                                        decltype(detail::followers(detail::list<L...>{}))>::type;
  using Input = typename detail::first_of<L...>::type::Input;
  using Output = typename detail::last_of<L...>::type::Output;
  static constexpr int count = sizeof...(L);
  static constexpr bool adds_forward = AddsForward<typename detail::last_of<L...>::type>;
  static constexpr bool skips_forward = SkipsForward<typename detail::last_of<L...>::type>;
  static constexpr bool adds_backward =
      AddsBackward<typename Children::template at<0>>;  // as it is placed

  /// `fused`: none, or what the last element's forward is asked for (concepts/fused.hpp).
  template <class Ctx, class P, class X, class... Fused>
  static auto forward(Ctx& ctx, const P& p, X x, Fused... fused) {
    return forward_from<0>(ctx, p, x, SavedTuple<>{}, fused...);
  }
  /// `residual`: none, or the tensor that the first element adds.
  template <class Ctx, class P, class S, class D, class G, class... Residual>
  static auto backward(Ctx& ctx, const P& p, const S& saved, D dy, const G& g,
                       Residual... residual) {
    return backward_from<count - 1>(ctx, p, saved, dy, g, ctx.results().mark(), residual...);
  }
  template <class T> static constexpr BackwardBytes backward_bytes(Rows rows) {
    std::size_t peak = 0, last = 0,
                result = 0;  // `last`: the dy of the child at hand, when it is ours
    for_each_index<count>([&](auto i) {
      const BackwardBytes c = cohort::backward_bytes<child_of<Sequential, count - 1 - i>, T>(rows);
      peak = std::max(peak, last + c.peak);
      last = result = c.result;
    });
    return {peak, result};
  }

 private:
  template <int I, class Ctx, class P, class X, class S, class... Fused>
  static auto forward_from(Ctx& ctx, const P& p, X x, const S& saved, Fused... fused) {
    if constexpr (I + 1 == count) {
      const auto r = cohort::forward(ctx, p.template child<I>(), x, fused...);
      if constexpr (Ctx::train)
        return Out{r.y, saved.followed_by(r.saved)};
      else
        return Out{r.y, Nothing{}};
    } else {
      const auto r = cohort::forward(ctx, p.template child<I>(), x);
      if constexpr (Ctx::train)
        return forward_from<I + 1>(ctx, p, r.y, saved.followed_by(r.saved), fused...);
      else
        return forward_from<I + 1>(ctx, p, r.y, saved, fused...);
    }
  }
  /// dx of child I goes to the caller's end for even I and to the opposite for odd I, so that the
  /// dy it was made from can be released at once.
  template <int I, class Ctx, class P, class S, class D, class G, class... Residual>
  static auto backward_from(Ctx& ctx, const P& p, const S& saved, D dy, const G& g,
                            Arena::Mark mark, Residual... residual) {
    const Ctx here = I % 2 == 0 ? ctx : ctx.opposite();
    const auto go = [&](auto... fused) {
      return cohort::backward(here, p.template child<I>(), saved.template at<I>(), dy,
                              g.template child<I>(), fused...);
    };
    if constexpr (I == 0) {
      const auto dx = go(residual...);
      if constexpr (requires { dx.data; })
        release(ctx, here, mark, dx.data != static_cast<const void*>(dy.data));
      return dx;
    } else {
      using Before = typename Children::template at<I - 1>;
      const auto dx = [&] {
        if constexpr (TakesDz<Before>)
          return go(Before::slope(saved.template at<I - 1>().saved));
        else
          return go();
      }();
      release(ctx, here, mark, dx.data != static_cast<const void*>(dy.data));
      return backward_from<I - 1>(ctx, p, saved, dx.view(), g, mark, residual...);
    }
  }
  template <class Ctx>
  static void release(const Ctx& ctx, const Ctx& here, Arena::Mark mark, bool fresh) {
    if (fresh) ctx.results().release(mark, here.opposite().end());
  }
};

}  // namespace cohort::nn
