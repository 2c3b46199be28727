// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/concepts/loss.hpp: what a loss type must offer.
#pragma once
#include <cohort/core/context.hpp>
#include <cohort/device/cpu.hpp>
#include <utility>

namespace cohort {

/// Says what it is computed against: `using Target = Tokens;` or Features<C>.
template <class Loss>
concept HasTarget = requires {
  typename detail::borrowed_value<typename Loss::Target, float>::type;
};

/// A loss over the output of Model: it names its Target, returns a sum and a weight (never a mean)
/// and the gradient of the sum, and can be evaluated without gradient.
///
///   using Target = Tokens;                                          // or Features<C>
///   static auto forward(ctx, Tensor<const T, C> y, target)  -> {dy, total}   // total.sum,
///   total.weight static LossSum evaluate(ctx, Tensor<const T, C> y, target) template <class Model,
///   class T> static constexpr std::size_t gradient_bytes(Rows)
template <class Loss, class Model, class D = DefaultCpu, class T = float>
concept LossFor = HasTarget<Loss> &&
    requires(Context<D, T, Phase::train>& train, Context<D, T, Phase::evaluate>& evaluate,
             value_of<typename Model::Output, T> y,
             value_of<typename Loss::Target, accumulator_t<T>> target) {
  Loss::forward(train, y, target).dy;
  Loss::forward(train, y, target).total.weight;
  Loss::evaluate(evaluate, y, target).sum;
  Loss::template gradient_bytes<Model, T>(Rows{1, 1});
};

/// A loss whose gradient can be scaled before it is rounded: forward(ctx, y, target, float scale) gives
/// scale times the gradient, while sum and weight stay as they are (policies/dynamic_loss_scale.hpp).
template <class Loss, class Model, class D = DefaultCpu, class T = float>
concept ScalableLoss = LossFor<Loss, Model, D, T> &&
    requires(Context<D, T, Phase::train>& train, value_of<typename Model::Output, T> y,
             value_of<typename Loss::Target, accumulator_t<T>> target) {
  Loss::forward(train, y, target, 1.0f).dy;
};

}  // namespace cohort
