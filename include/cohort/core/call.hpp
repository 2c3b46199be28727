// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/call.hpp: the two functions through which every child layer is called.
#pragma once
#include <algorithm>
#include <cohort/core/context.hpp>
#include <cohort/core/saved.hpp>
#include <cohort/core/units.hpp>
#include <string>
#include <string_view>

namespace cohort {
namespace detail {

/// A layer's type as the compiler spells it, inside the words around it.
template <class L> constexpr std::string_view spelled() { return __PRETTY_FUNCTION__; }

/// The type alone, cut where it grows long.
inline std::string layer_name(std::string_view all) {
  const std::size_t begin = all.find("L = ") + 4;
  std::size_t end = all.find_first_of(";]", begin);
  end = end == all.npos ? all.size() : end;
  constexpr std::size_t most = 120;
  return std::string(all.substr(begin, std::min(most, end - begin))) +
         (end - begin > most ? "..." : "");
}

[[noreturn]] inline void throw_uncounted(std::size_t made, std::size_t counted,
                                         std::string_view spelled_layer) {
  throw ContractBroken(
      -1, "forward",
      "layer " + layer_name(spelled_layer) + " made " + std::to_string(made) +
          " bytes of results but its types account for " + std::to_string(counted) +
          ". Return or keep each tensor from ctx.make exactly once (keep y.view() when y is also "
          "returned), keep every child's saved, and take temporaries from ctx.scratch.");
}

template <class L, class X> struct NotItsInput {
  static void say() {
    static_assert(never<L, X>,
                  "cohort: a layer was called with something that is not its Input. Give its "
                  "forward a Tensor<const T, C> of the declared width, or Tokens. "
                  "[cohort/core/call.hpp]");
  }
};
template <class L, class S, class D> struct NotItsOutput {
  static void say() {
    static_assert(
        never<L, S, D>,
        "cohort: a child's backward was called with other things than its forward "
        "returned. Give it s[name] as cohort::forward(ctx, p[name], x) returned it (not the "
        "child's own forward), and dy of the child's Output. "
        "[cohort/core/call.hpp]");
  }
};
template <class S> struct NotOnlyActivations {
  static void say() {
    static_assert(
        never<S>,
        "cohort: forward must return Out{y, keep(ctx, ...)}: the saved value may hold activations "
        "only, never p. [cohort/core/saved.hpp]");
  }
};

/// Runs one layer's forward: releases its scratch, the arena's near end alone (results may lie at the far one:
/// nn::Checkpointed), checks what it kept, makes its result an alias.
template <class L, class Ctx, class V, class X, class... Fused>
auto run_forward(Ctx& ctx, const V& p, X x, Fused... fused) {
  const Arena::Mark scratch = ctx.scratch_arena().mark();
  const std::size_t before = ctx.results().used();
  auto r = L::forward(ctx, p, x, fused...);
  ctx.scratch_arena().release(scratch, Arena::End::low);
  using Y = decltype(r.y);
  using S = decltype(r.saved);
  if constexpr (!Keepable<S>) {
    said<NotOnlyActivations<S>>();
    return Out{r.y.view(), Refused{}};
  } else if constexpr (Ctx::train) {
    const std::size_t made = ctx.results().used() - before;
    if (made != Returned<Y, S>::bytes(x.rows))
      throw_uncounted(made, Returned<Y, S>::bytes(x.rows), spelled<L>());
    return Out{r.y.view(), Returned<Y, S>{r.saved}};
  } else {
    return Out{r.y.view(), Nothing{}};
  }
}

/// A store that wants to see what its units return (run/anomalies.hpp).
template <class V>
inline constexpr bool watched = [] {
  if constexpr (requires { V::store_type::watches; })
    return V::owns_unit && V::store_type::watches;
  else
    return false;
}();
template <class L, class Ctx, class V, class X, class... Fused>
auto run_watched_forward(Ctx& ctx, const V& p, X x, Fused... fused) {
  const auto seen = [&](const auto& view) {
    const auto r = run_forward<L, Ctx>(ctx, view, x, fused...);
    p.store.after_forward(p.unit, r.y);
    return r;
  };
  if constexpr (V::is_unit)
    return seen(p.open());
  else
    return seen(p);
}

/// What lasts while a unit computes, for stores that watch it.
struct NobodyWatches {};
template <class V> auto forward_span(const V& p) {
  if constexpr (V::owns_unit && requires { p.store.forward_span(p.unit); })
    return p.store.forward_span(p.unit);
  else
    return NobodyWatches{};
}
template <class V> auto backward_span(const V& p) {
  if constexpr (V::owns_unit && requires { p.store.backward_span(p.unit); })
    return p.store.backward_span(p.unit);
  else
    return NobodyWatches{};
}

}  // namespace detail

/// Calls a child's forward: `auto r = cohort::forward(ctx, p["inner"_p], x);` then r.y and r.saved.
///
/// Shapes   r.y is an alias of the child's result: it cannot be written, and returning it costs
///          nothing.
/// Comm     when the child is a unit, what the plan schedules before its forward (a gather, under
///          FullShard).
/// Errors   run time: ContractBroken for children called out of order or results that no type
///          counts.
///
/// One more argument asks for more, or less, than the child's result: a residual for residual + the result, of
/// a child that adds_forward; NoResult for no result, of one that skips_forward (concepts/fused.hpp).
template <class Ctx, class V, class X, class... Fused>
auto forward(Ctx& ctx, const V& p, X x, Fused... fused) {
  using L = typename V::layer;
  if constexpr (std::is_base_of_v<detail::RefusedLayer, L> ||
                std::is_same_v<X, detail::RefusedTensor>) {
    return Out{detail::RefusedTensor{}, detail::Refused{}};
  } else {
    using In = value_of<typename L::Input, typename Ctx::scalar, typename Ctx::place>;
    if constexpr (!std::is_convertible_v<X, In>) {
      detail::said<detail::NotItsInput<L, X>>();
      return Out{detail::RefusedTensor{}, detail::Refused{}};
    } else {
      [[maybe_unused]] const auto span = detail::forward_span(p);
      if constexpr (V::owns_unit) p.store.before_forward(p.unit);
      if constexpr (detail::watched<V>)
        return detail::run_watched_forward<L, Ctx>(ctx, p, static_cast<In>(x), fused...);
      else if constexpr (V::is_unit)
        return detail::run_forward<L, Ctx>(ctx, p.open(), static_cast<In>(x), fused...);
      else
        return detail::run_forward<L, Ctx>(ctx, p, static_cast<In>(x), fused...);
    }
  }
}

namespace detail {
template <class L, class Ctx, class V, class S, class D, class G, class... Fused>
auto run_backward(Ctx& ctx, const V& p, const S& saved, D dy, const G& g, Fused... fused) {
  const Arena::Mark scratch = ctx.scratch_arena().mark(), results = ctx.results().mark();
  auto dx = L::backward(ctx, p, saved, dy, g, fused...);
  ctx.scratch_arena().release(scratch, Arena::End::low);
  ctx.results().release(results, ctx.opposite().end());
  return dx;
}

/// S is what cohort::forward returned for a child L, and D fits the child's Output.
template <class S, class L, class D, class Ctx>
concept CallOf =
    is_returned<S>::value && !std::is_base_of_v<RefusedLayer, L> &&
    std::is_convertible_v<D,
                          value_of<typename L::Output, typename Ctx::scalar, typename Ctx::place>>;
template <class S>
inline constexpr bool is_refused = std::is_same_v<S, Refused> || std::is_same_v<S, RefusedTensor>;
/// The dx of a call that was refused.
template <class L, class Ctx> auto refused_gradient() {
  if constexpr (std::is_base_of_v<RefusedLayer, L>)
    return RefusedTensor{};
  else if constexpr (requires { L::Input::extent; })
    return Tensor<typename Ctx::scalar, L::Input::extent, typename Ctx::place>{};
  else
    return NoGradient{};
}
}  // namespace detail

/// Calls a child's backward: `auto dx = cohort::backward(ctx, p["inner"_p], s["inner"_p], dy,
/// g["inner"_p]);`
///
/// Shapes   dx is [rows, Input] and may be written; NoGradient for a child over Tokens.
/// Comm     when the child is a unit, what the plan schedules around its backward (bucket
///          reductions).
///
/// One more argument is fused into dx: a residual that a child with adds_backward adds to it, or a slope that
/// one with multiplies_backward multiplies it by (concepts/fused.hpp).
template <class Ctx, class V, class S, class D, class G, class... Fused>
auto backward(Ctx& ctx, const V& p, const S& call, D dy, const G& g, Fused... fused) {
  using L = typename V::layer;
  if constexpr (!detail::CallOf<S, L, D, Ctx>) {
    if constexpr (!detail::is_refused<S> && !detail::is_refused<D>)
      detail::said<detail::NotItsOutput<L, S, D>>();
    return detail::refused_gradient<L, Ctx>();
  } else {
    const value_of<typename L::Output, typename Ctx::scalar, typename Ctx::place> dout = dy;
    [[maybe_unused]] const auto span = detail::backward_span(p);
    if constexpr (V::is_unit) {
      p.store.before_backward(p.unit);
      auto dx = detail::run_backward<L>(ctx, p.open(), call.saved, dout, g.open(), fused...);
      p.store.after_backward(p.unit);
      if constexpr (detail::watched<V>) p.store.passed_back(p.unit, dx);
      return dx;
    } else {
      auto dx = detail::run_backward<L>(ctx, p, call.saved, dout, g, fused...);
      if constexpr (V::owns_unit) {
        p.store.before_backward(p.unit);
        p.store.after_backward(p.unit);
        if constexpr (detail::watched<V>) p.store.passed_back(p.unit, dx);
      }
      return dx;
    }
  }
}

}  // namespace cohort
