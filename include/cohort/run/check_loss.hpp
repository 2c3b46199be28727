// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/check_loss.hpp: a loss's gradient against finite differences, in fp64.
#pragma once
#include <algorithm>
#include <cohort/concepts/loss.hpp>
#include <cohort/core/rng.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/run/gradient_check.hpp>
#include <type_traits>
#include <vector>

namespace cohort {

namespace detail {
/// A layer's Output, for what asks models for theirs.
template <int C> struct OutputOf { using Output = Features<C>; };

template <class Loss, int C> struct NoLossToCheck {
  static void say() {
    static_assert(
        LossFor<Loss, OutputOf<C>, DefaultCpu, double>,
        "cohort: check_loss<Loss, C> needs a loss over [rows, C] values of any type: 'using Target "
        "= Features<C>;' (or Tokens), forward(ctx, y, target) that returns {dy, total}, "
        "evaluate(ctx, y, target), gradient_bytes<Model, T>(rows); y is Tensor<const T, C>, a "
        "target of Features "
        "Tensor<const accumulator_t<T>, C>. [cohort/concepts/loss.hpp]");
  }
};
}  // namespace detail

/// Compares dy of Loss, the gradient of its sum, with central differences of fourth order of its sum, for
/// every element of random rows of C values; targets are random too, ids below C for Tokens. Also: forward
/// and evaluate give the same sum and weight, the memory that forward takes is what gradient_bytes says,
/// and a `scale`, where the loss takes one, multiplies dy alone.
///
///   assert(cohort::check_loss<Huber<2>, 2>().ok());
///
/// Units    as check_gradients; `where` is "y", or what of the others was broken.
/// Errors   kinks are not differentiable: choose another seed if one is hit.
template <class Loss, int C>
GradientCheck check_loss(Rows rows = {3, 2}, std::uint64_t seed = 1, double spread = 1) {
  if constexpr (!LossFor<Loss, detail::OutputOf<C>, DefaultCpu, double>) {
    detail::said<detail::NoLossToCheck<Loss, C>>();
    return {};
  } else {
    using Target = value_of<typename Loss::Target, double>;
    constexpr bool labels = std::is_same_v<typename Loss::Target, Tokens>;
    const auto count = static_cast<std::size_t>(rows.count());
    std::vector<double> y(count * C), values;
    std::vector<int> ids;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = spread * normal(seed, 1, i);
    if constexpr (labels) {
      for (std::size_t i = 0; i < count; ++i)
        ids.push_back(std::min(C - 1, static_cast<int>(uniform01(seed, 2, i) * float(C))));
    } else {
      for (std::size_t i = 0; i < count * Loss::Target::extent; ++i)
        values.push_back(spread * normal(seed, 2, i));
    }
    const auto target = [&] {
      if constexpr (labels)
        return Target{ids.data(), rows};
      else
        return Target{values.data(), rows};
    }();
    const Tensor<const double, C> given{y.data(), rows};

    const DefaultCpu device;
    const std::size_t bytes = Loss::template gradient_bytes<detail::OutputOf<C>, double>(rows);
    Arena results("activation", bytes), scratch("scratch", std::size_t{1} << 20);
    const Context<DefaultCpu, double, Phase::train> train(device, results, scratch);
    const Context<DefaultCpu, double, Phase::evaluate> evaluate(device, results, scratch);
    const auto sum = [&] { return Loss::evaluate(evaluate, given, target).sum; };

    GradientCheck check;
    const auto fail = [&](const char* where, const char* cause) {
      detail::fail(check, where, cause);
    };
    const auto loss = Loss::forward(train, given, target);
    if (results.used() > bytes || results.used() + alignment <= bytes)
      fail("gradient_bytes", "it is not what forward takes of ctx.make and ctx.like.");
    const std::vector<double> dy(loss.dy.data, loss.dy.data + y.size());
    const auto total = Loss::evaluate(evaluate, given, target);
    if (std::abs(total.sum - loss.total.sum) > 1e-12 * std::abs(total.sum) ||
        total.weight != loss.total.weight)
      fail("evaluate", "its sum and weight are not those of forward.");
    if constexpr (ScalableLoss<Loss, detail::OutputOf<C>, DefaultCpu, double>) {
      results.release({});
      const auto scaled = Loss::forward(train, given, target, 4.0f);
      for (std::size_t i = 0; i < y.size(); ++i)
        if (scaled.dy.data[i] != 4 * dy[i]) fail("scale", "dy is not multiplied by it.");
      if (scaled.total.sum != loss.total.sum) fail("scale", "it changes the loss's own sum.");
    }
    for (std::size_t i = 0; i < y.size() && check.cause.empty(); ++i)
      detail::compare(check, dy[i], detail::derivative(y[i], sum), "y");
    return check;
  }
}

}  // namespace cohort
