// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/concepts/loss.hpp: what a loss type must offer.
#pragma once
#include <cohort/core/context.hpp>
#include <cohort/core/host_device.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/device/traits.hpp>
#include <utility>

namespace cohort {

/// Says what it is computed against: `using Target = Tokens;` or Features<C>.
template <class Loss>
concept HasTarget = requires {
  typename detail::borrowed_value<typename Loss::Target, float>::type;
};

namespace ops {
struct LossOnDevice;
}

namespace detail {
/// What a loss returns about its rows: a LossSum on the host; on a GPU it stays there (ops/loss_sum.hpp).
template <class Total>
concept SumAndWeight = requires(Total total) {
  total.sum;
  total.weight;
};
template <class Total, class Device>
concept TotalOf = (on_host<Device> && SumAndWeight<Total>) ||
                  (!on_host<Device> &&
                   std::is_same_v<std::remove_cvref_t<Total>, ops::LossOnDevice>);

/// The scale that forward takes: a number, or where a GPU keeps it.
template <class Device> using scale_on = std::conditional_t<on_host<Device>, float, const float*>;
}  // namespace detail

/// A loss over the output of Model: it names its Target, returns a sum and a weight (never a mean)
/// and the gradient of the sum, and can be evaluated without gradient.
///
///   using Target = Tokens;                                          // or Features<C>
///   static auto forward(ctx, Tensor<const T, C> y, target) -> {dy, total}      // total.sum, total.weight
///   static LossSum evaluate(ctx, Tensor<const T, C> y, target)
///   template <class Model, class T> static constexpr std::size_t gradient_bytes(Rows)
///
/// On a GPU total is an ops::LossOnDevice, which evaluate returns too.
template <class Loss, class Model, class D = DefaultCpu, class T = float>
concept LossFor = HasTarget<Loss> &&
    requires(Context<D, T, Phase::train>& train, Context<D, T, Phase::evaluate>& evaluate,
             value_of<typename Model::Output, T, place_of<D>> y,
             value_of<typename Loss::Target, accumulator_t<T>, place_of<D>> target) {
  Loss::forward(train, y, target).dy;
  { Loss::forward(train, y, target).total } -> detail::TotalOf<D>;
  { Loss::evaluate(evaluate, y, target) } -> detail::TotalOf<D>;
  Loss::template gradient_bytes<Model, T>(Rows{1, 1});
};

/// A loss whose gradient can be scaled before it is rounded: forward(ctx, y, target, float scale) gives
/// scale times the gradient, while sum and weight stay as they are (policies/dynamic_loss_scale.hpp). On
/// a GPU the scale is `const float*`: a number in its memory.
template <class Loss, class Model, class D = DefaultCpu, class T = float>
concept ScalableLoss = LossFor<Loss, Model, D, T> &&
    requires(Context<D, T, Phase::train>& train, value_of<typename Model::Output, T, place_of<D>> y,
             value_of<typename Loss::Target, accumulator_t<T>, place_of<D>> target,
             detail::scale_on<D> scale) {
  Loss::forward(train, y, target, scale).dy;
};

/// Specialise it as true for a loss that may write its gradient over the model's output: its forward then
/// also takes y as Tensor<T, C>, not const, and returns dy in y's place; gradient_bytes stays as it is,
/// evaluate finds no memory for a gradient. Losses derived from such a one are none themselves, unless
/// they are named too.
///
///   template <> inline constexpr bool cohort::overwrites_output<MyLoss> = true;
template <class Loss> inline constexpr bool overwrites_output = false;

/// Such a loss over the output of Model, with a scale or without.
template <class Loss, class Model, class D = DefaultCpu, class T = float, bool Scaled = false>
concept OverwritesOutput = overwrites_output<Loss> &&
    requires(Context<D, T, Phase::train>& train,
             decltype(detail::overwritten(value_of<typename Model::Output, T, place_of<D>>{})) y,
             value_of<typename Loss::Target, accumulator_t<T>, place_of<D>> target,
             detail::scale_on<D> scale) {
  Loss::forward(train, y, target).dy;
  requires !Scaled || requires { Loss::forward(train, y, target, scale).dy; };
};

}  // namespace cohort
