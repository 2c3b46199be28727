// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/concepts/layer.hpp: what a layer type must offer: write
// static_assert(cohort::Layer<MyLayer>).
#pragma once
#include <cohort/core/call.hpp>
#include <cohort/core/footprint.hpp>
#include <cohort/device/cpu.hpp>

namespace cohort {

namespace detail {
/// Always false; carries the sentence beside the rule, where compilers echo the line.
template <fixed_string> inline constexpr bool unsatisfied = false;

template <class L, class D, class T>
using forward_probe = decltype(L::forward(std::declval<Context<D, T, Phase::train>&>(),
                                          std::declval<const FlatView<L, ParamCursor<T>>&>(),
                                          std::declval<value_of<typename L::Input, T>>()));
}  // namespace detail

/// Declares what goes in and what comes out: `using Input = Features<C>;` or Tokens, `using Output
/// = Features<D>;`.
template <class L>
concept DeclaresExtents = requires {
  typename detail::borrowed_value<typename L::Input, float>::type;
  typename detail::borrowed_value<typename L::Output, float>::type;
};

/// Has `static auto forward(auto& ctx, const auto& p, Tensor<const T, C> x)` that returns Out{y,
/// keep(ctx, ...)}.
template <class L, class D = DefaultCpu, class T = float>
concept HasForward = DeclaresExtents<L> && requires(detail::forward_probe<L, D, T> r) {
  r.y;
  r.saved;
};

/// What forward keeps are activations only.
template <class L, class D = DefaultCpu, class T = float>
concept KeepsOnlyActivations =
    HasForward<L, D, T> && Keepable<decltype(std::declval<detail::forward_probe<L, D, T>>().saved)>;

/// Has `static auto backward(auto& ctx, const auto& p, const auto& saved, Tensor<const T, D> dy,
/// const auto& g)`.
template <class L, class D = DefaultCpu, class T = float>
concept HasBackward = KeepsOnlyActivations<L, D, T> &&
    requires(Context<D, T, Phase::backward>& ctx, const FlatView<L, ParamCursor<T>>& p,
             decltype(std::declval<detail::forward_probe<L, D, T>>().saved) saved,
             value_of<typename L::Output, T> dy, const FlatView<L, GradCursor<T>>& g) {
  L::backward(ctx, p, saved, dy, g);
};

/// A layer: parameters and children by name, forward beside backward, no state of its own.
///
/// See docs/writing_a_layer.md; check_gradients<L>() compares its backward with finite differences.
template <class L, class D = DefaultCpu, class T = float>
// Compilers echo the line of a rule, and with it the sentence beside it.
// clang-format off
concept Layer =
    (DeclaresExtents<L> || detail::unsatisfied<"cohort: add 'using Input = cohort::Features<C>;' (or cohort::Tokens) and 'using Output = cohort::Features<D>;' to the layer">) &&
    (HasForward<L, D, T> || detail::unsatisfied<"cohort: add 'static auto forward(auto& ctx, const auto& p, cohort::Tensor<const T, C> x)' that returns cohort::Out{y, keep(ctx, ...)}">) &&
    (KeepsOnlyActivations<L, D, T> || detail::unsatisfied<"cohort: forward keeps something that is not an activation">) &&
    (HasBackward<L, D, T> || detail::unsatisfied<"cohort: add 'static auto backward(auto& ctx, const auto& p, const auto& saved, cohort::Tensor<const T, D> dy, const auto& g)' that returns dx">);
// clang-format on

}  // namespace cohort
