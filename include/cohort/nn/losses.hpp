// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/losses.hpp: losses: the gradient of a sum, and the (sum, weight) that a mean is taken
// of later.
#pragma once
#include <cohort/concepts/loss.hpp>
#include <cohort/core/context.hpp>
#include <cohort/core/said.hpp>
#include <cohort/ops/cross_entropy.hpp>
#include <cohort/ops/mean_squared_error.hpp>

namespace cohort::nn {

/// What a loss returns in training: dy is `scale` times the gradient of total.sum, not divided by
/// anything. The scale keeps small gradients in the range of fp16: it is multiplied before dy is rounded.
/// On a GPU the total stays there, and the scale is where `const float*` points to.
template <class T, int C, class Total = ops::LossSum, class Where = OnHost> struct LossGradient {
  Tensor<T, C, Where> dy;
  Total total;
};

/// The classes [0, K) are among V logits.
template <int K, int V>
concept ClassesAmongLogits = (1 <= K) && (K <= V);

namespace detail {
/// Where the gradient goes: over the output where that may be written.
template <class Ctx, class E, int C, class Where>
auto gradient_place(Ctx& ctx, Tensor<E, C, Where> y) {
  if constexpr (std::is_const_v<E>)
    return ctx.like(y);
  else
    return y;
}

template <int K, int V> struct OtherClasses {
  static void say() {
    static_assert(ClassesAmongLogits<K, V>,
                  "cohort: CrossEntropyOver<K> needs a model with at least K logits, and K of at "
                  "least 1. Write the number of classes before padding. [cohort/nn/losses.hpp]");
  }
};
/// K; says one sentence and gives V where the classes are not among the logits.
template <int K, int V> consteval int classes_among() {
  if constexpr (ClassesAmongLogits<K, V>) {
    return K;
  } else {
    static_assert(cohort::detail::said<OtherClasses<K, V>>());
    return V;
  }
}
}  // namespace detail

/// Cross entropy over the first K classes of a model whose output is padded to V >= K logits:
/// -log softmax(y[0, K))[target]. The others neither count nor learn from it.
///
/// Shapes   y [rows, V], targets [rows], dy 0 from column K on.
/// Errors   compile time: K < 1 or K > V (ClassesAmongLogits). Run time: InvalidInput for a target outside
///          [0, K) other than -100.
/// Laws     with K = V the bits of CrossEntropy; whatever stands in the other columns changes no bit
///          (tests/nn/losses_test.cpp).
template <int K> struct CrossEntropyOver {
  using Target = Tokens;
  template <class Ctx, class E, int V, class Where, class Scale = float>
  static auto forward(Ctx& ctx, Tensor<E, V, Where> y, TokensIn<Where> target, Scale scale = 1) {
    using T = std::remove_const_t<E>;
    const Tensor<T, V, Where> dy = detail::gradient_place(ctx, y);
    const auto total = ops::cross_entropy_gradient<V, detail::classes_among<K, V>()>(
        ctx.device(), y.rows.count(), y.view().data, target.data, dy.data, ops::ignored_label,
        scale);
    return LossGradient<T, V, std::remove_const_t<decltype(total)>, Where>{dy, total};
  }
  template <class Ctx, class T, int V, class Where>
  static auto evaluate(Ctx& ctx, Tensor<const T, V, Where> y, TokensIn<Where> target) {
    return ops::cross_entropy<V, detail::classes_among<K, V>()>(ctx.device(), y.rows.count(),
                                                                y.data, target.data);
  }
  template <class Model, class T> static constexpr std::size_t gradient_bytes(Rows rows) {
    return Model::Output::template bytes<T>(rows);
  }
};

/// -log softmax(y)[target], natural logarithm; rows with target -100 weigh nothing.
///
/// Shapes   y [rows, V], targets [rows].
/// Units    softmax and its sum are fp32 (fp64 for double), total is fp64, dy is rounded to T once.
/// Errors   run time: InvalidInput for a target outside [0, V) other than -100.
/// Source   torch.nn.functional.cross_entropy.
struct CrossEntropy {
  using Target = Tokens;
  template <class Ctx, class E, int V, class Where, class Scale = float>
  static auto forward(Ctx& ctx, Tensor<E, V, Where> y, TokensIn<Where> target, Scale scale = 1) {
    return CrossEntropyOver<V>::forward(ctx, y, target, scale);
  }
  template <class Ctx, class T, int V, class Where>
  static auto evaluate(Ctx& ctx, Tensor<const T, V, Where> y, TokensIn<Where> target) {
    return CrossEntropyOver<V>::evaluate(ctx, y, target);
  }
  template <class Model, class T> static constexpr std::size_t gradient_bytes(Rows rows) {
    return Model::Output::template bytes<T>(rows);
  }
};

/// Sum of (y - target)^2 over all elements; its weight is their number.
///
/// Shapes   y [rows, C] of T, targets [rows, C] of accumulator_t<T>: fp32 for 16-bit y.
/// Units    differences are fp32 (fp64 for double), total is fp64, dy is rounded to T once.
template <int C> struct MeanSquaredError {
  using Target = Features<C>;
  template <class Ctx, class E, class Where, class Scale = float>
  static auto forward(Ctx& ctx, Tensor<E, C, Where> y,
                      Tensor<const accumulator_t<std::remove_const_t<E>>, C, Where> target,
                      Scale scale = 1) {
    using T = std::remove_const_t<E>;
    const Tensor<T, C, Where> dy = detail::gradient_place(ctx, y);
    const auto total = ops::mean_squared_error_gradient<C>(
        ctx.device(), y.rows.count(), y.view().data, target.data, dy.data, scale);
    return LossGradient<T, C, std::remove_const_t<decltype(total)>, Where>{dy, total};
  }
  template <class Ctx, class T, class Where>
  static auto evaluate(Ctx& ctx, Tensor<const T, C, Where> y,
                       Tensor<const accumulator_t<T>, C, Where> target) {
    return ops::mean_squared_error<C>(ctx.device(), y.rows.count(), y.data, target.data);
  }
  template <class Model, class T> static constexpr std::size_t gradient_bytes(Rows rows) {
    return Model::Output::template bytes<T>(rows);
  }
};

}  // namespace cohort::nn

namespace cohort {
template <> inline constexpr bool overwrites_output<nn::CrossEntropy> = true;
template <int K> inline constexpr bool overwrites_output<nn::CrossEntropyOver<K>> = true;
template <int C> inline constexpr bool overwrites_output<nn::MeanSquaredError<C>> = true;
}  // namespace cohort
