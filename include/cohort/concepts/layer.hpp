// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/concepts/layer.hpp: what a layer type must offer: write
// static_assert(cohort::Layer<MyLayer>).
#pragma once
#include <cohort/core/call.hpp>
#include <cohort/core/device_view.hpp>
#include <cohort/core/footprint.hpp>
#include <cohort/core/work.hpp>
#include <cohort/device/cpu.hpp>

namespace cohort {

namespace detail {
/// Always false; carries the sentence beside the rule, where compilers echo the line.
template <fixed_string> inline constexpr bool unsatisfied = false;

template <class L, class D, class T>
using forward_probe =
    decltype(L::forward(std::declval<Context<D, T, Phase::train>&>(),
                        std::declval<const FlatView<L, param_cursor_on<T, D>>&>(),
                        std::declval<value_of<typename L::Input, T, place_of<D>>>()));
}  // namespace detail

/// Declares what goes in and what comes out: `using Input = Features<C>;` or Tokens, `using Output
/// = Features<D>;`.
template <class L>
concept DeclaresExtents = requires {
  typename detail::borrowed_value<typename L::Input, float>::type;
  typename detail::borrowed_value<typename L::Output, float>::type;
};

/// A type alone: nobody makes an object of it, so data members would be forgotten.
template <class L>
concept HasNoState = std::is_empty_v<L>;

namespace detail {
template <class L, class D, class T> consteval bool layers_inside();
}  // namespace detail

/// Every child, and every layer inside it, is a layer. Asked before forward is: a composite calls
/// its children, so what is wrong with one is said about it.
template <class L, class D = DefaultCpu, class T = float>
concept HoldsLayers = DeclaresExtents<L> && detail::layers_inside<L, D, T>();

/// Has `static auto forward(auto& ctx, const auto& p, Tensor<const T, C> x)` that returns Out{y,
/// keep(ctx, ...)} with y of Output's width.
template <class L, class D = DefaultCpu, class T = float>
concept HasForward = HoldsLayers<L, D, T> &&
    requires(Context<D, T, Phase::train>& ctx, const FlatView<L, param_cursor_on<T, D>>& p,
             value_of<typename L::Input, T, place_of<D>> x) {
  { L::forward(ctx, p, x).y } -> std::convertible_to<value_of<typename L::Output, T, place_of<D>>>;
  L::forward(ctx, p, x).saved;
};

/// What forward keeps are activations only.
template <class L, class D = DefaultCpu, class T = float>
concept KeepsOnlyActivations =
    HasForward<L, D, T> && Keepable<decltype(std::declval<detail::forward_probe<L, D, T>>().saved)>;

/// Has `static auto backward(auto& ctx, const auto& p, const auto& saved, Tensor<const T, D> dy,
/// const auto& g)`.
template <class L, class D = DefaultCpu, class T = float>
concept HasBackward = KeepsOnlyActivations<L, D, T> &&
    requires(Context<D, T, Phase::backward>& ctx, const FlatView<L, param_cursor_on<T, D>>& p,
             decltype(std::declval<detail::forward_probe<L, D, T>>().saved) saved,
             value_of<typename L::Output, T, place_of<D>> dy,
             const FlatView<L, grad_cursor_on<accumulator_t<T>, D>>& g) {
  L::backward(ctx, p, saved, dy, g);
};

/// A layer: parameters and children by name, forward beside backward, no state of its own.
///
/// See docs/writing_a_layer.md; check_gradients<L>() compares its backward with finite differences.
// clang-format off
template <class L, class D = DefaultCpu, class T = float>
concept Layer =
    (HasNoState<L>                  || detail::unsatisfied<"cohort: a layer has no data members: what it learns are Params, what it keeps goes into keep(ctx, ...)">) &&
    (DeclaresExtents<L>             || detail::unsatisfied<"cohort: add 'using Input = cohort::Features<C>;' (or Tokens) and 'using Output = cohort::Features<D>;', one each: several inputs stand side by side in one Features">) &&
    (HoldsLayers<L, D, T>           || detail::unsatisfied<"cohort: a type in Children is not a layer">) &&
    (HasForward<L, D, T>            || detail::unsatisfied<"cohort: add 'static auto forward(auto& ctx, const auto& p, cohort::Tensor<const T, C> x)' that returns cohort::Out{y, keep(ctx, ...)}, y of Output's width">) &&
    (KeepsOnlyActivations<L, D, T>  || detail::unsatisfied<"cohort: forward keeps something that is not an activation; backward gets p again">) &&
    (HasBackward<L, D, T>           || detail::unsatisfied<"cohort: add 'static auto backward(auto& ctx, const auto& p, const auto& saved, cohort::Tensor<const T, D> dy, const auto& g)' that returns dx">);
// clang-format on

namespace detail {
template <class L, class D, class T> consteval bool layers_inside() {
  if constexpr (Repeated<L>) {
    return Layer<typename L::Element, D, T>;
  } else {
    bool all = true;
    for_each_index<children_of<L>::count>(
        [&](auto i) { all = all && Layer<child_of<L, i>, D, T>; });
    return all;
  }
}

template <class L>
using kept_by = decltype(std::declval<forward_probe<L, DefaultCpu, float>>().saved);

/// The innermost layer that is none: its children are layers, or it does not say what it takes.
template <class L, class D = DefaultCpu, class T = float, int I = 0> consteval auto wrong_layer() {
  if constexpr (!DeclaresExtents<L> || HoldsLayers<L, D, T>)
    return std::type_identity<L>{};
  else if constexpr (Repeated<L>)
    return wrong_layer<typename L::Element, D, T>();
  else if constexpr (!Layer<child_of<L, I>, D, T>)
    return wrong_layer<child_of<L, I>, D, T>();
  else
    return wrong_layer<L, D, T, I + 1>();
}

/// A layer for GPUs only, where these can be asked for.
template <class L> consteval bool lacks_backward_on_gpu() {
  using Gpu = typename first_type<Cuda, L>::type;
  if constexpr (!HasForward<L> && IsComplete<Gpu>)
    return HasForward<L, Gpu> && !HasBackward<L, Gpu>;
  else
    return false;
}
/// Exactly one sentence about a layer that is none, the most basic first.
template <class L> consteval bool explain_layer() {
  if constexpr (!HasNoState<L>) {
    static_assert(
        HasNoState<L>,
        "cohort: this layer has data members, but nobody makes an object of it: they would "
        "be forgotten. What it learns are Params, what backward needs goes into keep(ctx, "
        "...), what is fixed is a template argument. [cohort/concepts/layer.hpp]");
  } else if constexpr (!DeclaresExtents<L>) {
    static_assert(
        DeclaresExtents<L>,
        "cohort: this is not a layer: it does not say what goes in and out. Give it 'using Input = "
        "cohort::Features<C>;' (or cohort::Tokens) and 'using Output = cohort::Features<D>;', one "
        "each: several inputs stand side by side in one Features. "
        "[cohort/concepts/layer.hpp]");
  } else if constexpr (lacks_backward_on_gpu<L>()) {
    static_assert(
        never<L>,
        "cohort: this layer has a forward for GPUs and no usable backward there. Add 'static "
        "auto backward(auto& ctx, const auto& p, const auto& saved, cohort::Tensor<const T, "
        "D, cohort::OnGpu> dy, const auto& g)' that adds into g and returns dx. "
        "[docs/gpu.md]");
  } else if constexpr (!HasForward<L>) {
    static_assert(
        HasForward<L>,
        "cohort: this layer has no usable forward. Add 'static auto forward(auto& ctx, "
        "const auto& p, cohort::Tensor<const T, C> x)' that returns cohort::Out{y, "
        "keep(ctx, ...)}, static, with y as wide as Output says. (A layer for GPUs only takes "
        "#include <cohort/cuda.hpp>.) [cohort/concepts/layer.hpp]");
  } else if constexpr (keeps_view<kept_by<L>>::value) {
    static_assert(
        KeepsOnlyActivations<L>,
        "cohort: this layer's forward keeps a parameter view, which is borrowed and may be freed "
        "before backward. Keep activations only; backward gets p again. [cohort/core/saved.hpp]");
  } else if constexpr (std::is_same_v<kept_by<L>, KeptWithoutName>) {
    static_assert(KeepsOnlyActivations<L>,
                  "cohort: what forward keeps has a name: write keep(ctx, \"x\"_p = x), and in "
                  "backward saved[\"x\"_p]. [cohort/core/saved.hpp]");
  } else if constexpr (!KeepsOnlyActivations<L>) {
    static_assert(
        KeepsOnlyActivations<L>,
        "cohort: this layer's forward keeps something that is not an activation. Keep tensors, "
        "tokens and children's saved values only; backward gets p again. [cohort/core/saved.hpp]");
  } else {
    static_assert(
        HasBackward<L>,
        "cohort: this layer has no usable backward. Add 'static auto backward(auto& ctx, const "
        "auto& p, const auto& saved, cohort::Tensor<const T, D> dy, const auto& g)' that adds into "
        "g and returns dx. [cohort/concepts/layer.hpp]");
  }
  return true;
}
}  // namespace detail

}  // namespace cohort
