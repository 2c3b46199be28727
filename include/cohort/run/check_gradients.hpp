// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/check_gradients.hpp: a layer's backward against finite differences, in fp64.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/concepts/layer.hpp>
#include <cohort/core/rng.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/plan/layout.hpp>
#include <string>
#include <vector>

namespace cohort {

/// What check_gradients found: the worst relative error over all parameters and the input.
struct GradientCheck {
  double worst = 0;   // |analytic - numeric| / max(1, |analytic|, |numeric|)
  std::string where;  // name of the parameter, or "input"
  double analytic = 0, numeric = 0;
  int checked = 0;  // derivatives compared
  bool ok(double tolerance = 1e-6) const { return checked > 0 && worst <= tolerance; }
};

/// What the check is made with; the defaults are for small layers.
struct GradientCheckOptions {
  Rows rows{2, 3};
  std::uint64_t seed = 1;
  int tokens_below = 2;  // ids are drawn from [0, tokens_below) when Input is Tokens
  int most_each = 40;    // elements checked of each parameter and of the input
};

namespace detail {
/// A layer alone in fp64: parameters, input and a random weighting of its output as the loss.
template <class L> class GradientProbe {
 public:
  using T = double;
  static constexpr bool takes_tokens = std::is_same_v<typename L::Input, Tokens>;

  explicit GradientProbe(const GradientCheckOptions& o)
      : options_(o),
        params_(std::max<std::size_t>(flat_size<L>(), 1) * sizeof(T)),
        grads_(params_.bytes()),
        activations_("activation", activation_bytes(o.rows)),
        backward_("backward", round_up(backward_bytes<L, T>(o.rows).peak, alignment)),
        scratch_("scratch", scratch_bytes<L, T>(o.rows)),
        touched_(static_cast<std::size_t>(std::max(1, num_params<L>()))) {
    const std::size_t rows = static_cast<std::size_t>(o.rows.count());
    constexpr std::size_t trained = subtree<L>().trained;
    for (std::size_t i = 0; i < trained; ++i) params_.as<T>()[i] = 0.5 * normal(o.seed, 1, i);
    std::size_t frozen = trained, average = first_average;
    cohort::for_each_parameter<L>(
        [&]<class P>(int index) {  // others as they begin: a variance is positive
          const auto stream = static_cast<std::uint64_t>(4 + index);
          std::size_t& at = P::averages ? average : frozen;
          for (std::size_t k = 0; !P::trains && k < P::numel; ++k)
            params_.as<T>()[at + k] = P::initialiser::value({o.seed, stream, k, P::rank, P::cols});
          if (!P::trains) at += P::padded;
        });
    if constexpr (takes_tokens) {
      for (std::size_t i = 0; i < rows; ++i) {
        ids_.push_back(std::min(
            o.tokens_below - 1,
            static_cast<int>(uniform01(o.seed, 2, i) * static_cast<float>(o.tokens_below))));
      }
    } else {
      for (std::size_t i = 0; i < rows * L::Input::extent; ++i)
        input_.push_back(normal(o.seed, 2, i));
    }
    for (std::size_t i = 0; i < rows * L::Output::extent; ++i)
      weights_.push_back(normal(o.seed, 3, i));
  }

  /// Of an evaluation; of a layer that draws or averages, whose evaluation is another function, of a
  /// training forward, with the draws of gradients().
  double loss() {
    if (draws_ || subtree<L>().averaged > 0) return loss_of<Phase::train>();
    return loss_of<Phase::evaluate>();
  }
  void gradients() {
    activations_.release({});
    backward_.release({});
    std::fill(touched_.begin(), touched_.end(), std::uint8_t{0});
    Random upcoming = first_random();
    const auto ctx = context<Phase::train>(upcoming);
    const Context<DefaultCpu, T, Phase::backward> back(device_, backward_, scratch_);
    const auto p = params_view();
    std::fill_n(grads_.as<T>() + first_average, subtree<L>().averaged, T(0));
    const FlatView<L, GradCursor<T>> g(
        {grads_.as<T>(), touched_.data(), grads_.as<T>() + first_average});
    const auto r = cohort::forward(ctx, p, input());
    draws_ = upcoming.place() > 0;
    const Tensor<const T, L::Output::extent> dy{weights_.data(), options_.rows};
    const auto dx = cohort::backward(back, p, r.saved, dy, g);
    if constexpr (!takes_tokens) input_gradient_.assign(dx.data, dx.data + dx.size());
  }
  /// Compares d loss / d (element) for up to most_each elements of a range.
  void compare(GradientCheck& check, T* values, const T* gradient, std::size_t count,
               const std::string& where) {
    const std::size_t step =
        std::max<std::size_t>(1, count / static_cast<std::size_t>(options_.most_each));
    for (std::size_t i = 0; i < count; i += step) {
      const T kept = values[i], h = 1e-5;
      const auto at = [&](T x) {
        values[i] = x;
        return loss();
      };
      const double numeric =
          (8 * (at(kept + h) - at(kept - h)) - (at(kept + 2 * h) - at(kept - 2 * h))) / (12 * h);
      values[i] = kept;
      const double analytic = gradient ? gradient[i] : 0;
      const double error =
          std::abs(analytic - numeric) / std::max({1.0, std::abs(analytic), std::abs(numeric)});
      ++check.checked;
      if (error > check.worst || std::isnan(error)) {
        check = {std::isnan(error) ? HUGE_VAL : error, where, analytic, numeric, check.checked};
      }
    }
  }
  GradientCheck run() {
    GradientCheck check;
    gradients();
    const std::vector<std::string> names = parameter_names<L>();
    std::size_t offset = 0;  // of trained parameters, which come first
    cohort::for_each_parameter<L>([&]<class P>(int i) {
      if constexpr (P::trains) {
        const T* g = touched_[static_cast<std::size_t>(i)] ? grads_.as<T>() + offset : nullptr;
        compare(check, params_.as<T>() + offset, g, P::numel, names[static_cast<std::size_t>(i)]);
        offset += P::padded;
      }
    });
    if constexpr (!takes_tokens)
      compare(check, input_.data(), input_gradient_.data(), input_.size(), "input");
    return check;
  }

 private:
  static std::size_t activation_bytes(Rows rows) {
    using Ctx = Context<DefaultCpu, T, Phase::train>;
    using View = FlatView<L, ParamCursor<T>>;
    using R = decltype(cohort::forward(std::declval<Ctx&>(), std::declval<const View&>(),
                                       std::declval<value_of<typename L::Input, T>>()));
    return decltype(R::saved)::bytes(rows);
  }
  template <Phase P> double loss_of() {
    activations_.release({});
    Random upcoming = first_random();
    const auto ctx = context<P>(upcoming);
    const auto y = cohort::forward(ctx, params_view(), input()).y;
    double sum = 0;
    for (std::size_t i = 0; i < weights_.size(); ++i) sum += weights_[i] * y.data[i];
    return sum;
  }
  Random first_random() const { return Random({options_.seed, &steps_, 0, 1}); }
  template <Phase P> Context<DefaultCpu, T, P> context(Random& upcoming) {
    return {device_, activations_, scratch_, Arena::End::low, nullptr, &upcoming};
  }
  FlatView<L, ParamCursor<T>> params_view() const {
    const T* flat = params_.template as<T>();
    return FlatView<L, ParamCursor<T>>(flat_cursor<L, T>(flat, flat + first_average));
  }
  auto input() const {
    if constexpr (takes_tokens)
      return Tokens{ids_.data(), options_.rows};
    else
      return Tensor<const T, L::Input::extent>{input_.data(), options_.rows};
  }

  static constexpr std::size_t first_average = subtree<L>().trained + subtree<L>().frozen;

  GradientCheckOptions options_;
  const std::int64_t steps_ = 0;
  bool draws_ = false;
  DefaultCpu device_;
  HostMemory params_, grads_;
  Arena activations_, backward_, scratch_;
  std::vector<std::uint8_t> touched_;
  std::vector<T> input_, input_gradient_, weights_;
  std::vector<int> ids_;
};
}  // namespace detail

/// Compares L's backward, for the input and every parameter that is trained, with central
/// differences of fourth order of its forward in fp64, on random values.
///
///   static_assert(cohort::Layer<MyLayer>);
///   assert(cohort::check_gradients<MyLayer>().ok());
///
/// Units    relative error; 1e-6 is far above the rounding of fp64 and far below any wrong term.
/// Cost     four forwards a derivative; at most options.most_each derivatives a parameter.
/// Errors   kinks (ReLU at 0) are not differentiable: choose another seed if one is hit.
template <class L>
requires Layer<L, DefaultCpu, double> GradientCheck
check_gradients(const GradientCheckOptions& options = {}) {
  return detail::GradientProbe<L>(options).run();
}

}  // namespace cohort
