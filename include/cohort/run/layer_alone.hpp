// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/layer_alone.hpp: a layer without a model around it, in fp64, its memory full of NaN.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/concepts/layer.hpp>
#include <cohort/core/rng.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/plan/layout.hpp>
#include <cohort/run/gradient_check.hpp>
#include <cstring>
#include <string>
#include <vector>

namespace cohort::detail {

/// Which memory begins with zeros; all other that is not a layer's own holds NaN.
enum class Zeroed { nothing, gradients, results, scratch };

/// A layer alone in fp64: parameters, input and a random weighting of its output as the loss.
template <class L> class LayerAlone {
 public:
  using T = double;
  static constexpr bool takes_tokens = std::is_same_v<typename L::Input, Tokens>;
  static constexpr bool averages = subtree<L>().averaged > 0;

  explicit LayerAlone(const GradientCheckOptions& o)
      : options_(o),
        params_(std::max<std::size_t>(flat_size<L>(), 1) * sizeof(T)),
        grads_(params_.bytes()),
        activations_("activation", activation_bytes(o.rows)),
        backward_("backward", round_up(backward_bytes<L, T>(o.rows).peak, alignment)),
        scratch_("scratch", scratch_bytes<L, T>(o.rows)),
        touched_(static_cast<std::size_t>(std::max(1, num_params<L>()))) {
    for (std::size_t i = 0; i < subtree<L>().trained; ++i)
      params_.as<T>()[i] = 0.5 * normal(o.seed, 1, i);
    std::uint64_t stream = 4;
    for (const ParamInfo& p : layout.params) {  // others as they begin: a variance is positive
      std::vector<float> values(p.trains ? 0 : p.numel);
      p.draw({o.seed, stream++, 0, p.rank, p.fan_in}, values.data(), values.size());
      std::copy(values.begin(), values.end(), params_.as<T>() + p.offset);
    }
    const auto rows = static_cast<std::size_t>(o.rows.count());
    if constexpr (takes_tokens) {
      const auto below = static_cast<float>(o.tokens_below);
      for (std::size_t i = 0; i < rows; ++i)
        ids_.push_back(
            std::min(o.tokens_below - 1, static_cast<int>(uniform01(o.seed, 2, i) * below)));
    } else {
      for (std::size_t i = 0; i < rows * L::Input::extent; ++i)
        input_.push_back(normal(o.seed, 2, i));
    }
    for (std::size_t i = 0; i < rows * L::Output::extent; ++i)
      weights_.push_back(normal(o.seed, 3, i));
  }

  const GradientCheckOptions& options() const { return options_; }
  /// Whether forward draws numbers, known from gradients() on.
  bool draws() const { return draws_; }
  /// Gradients and the sums of averages, flat_size<L>() in all.
  const T* grads() const { return grads_.template as<T>(); }

  /// Of an evaluation; of a layer that draws or averages, whose evaluation is another function, of a
  /// training forward, with the draws of gradients().
  double loss() {
    return draws_ || averages ? loss_of<Phase::train>() : loss_of<Phase::evaluate>();
  }

  /// Forward and backward. The first time in a step gradients are written, then they are added to.
  void gradients(bool first = true, Zeroed zeroed = Zeroed::nothing) {
    const auto fill = [&](Zeroed what) { return what == zeroed ? 0 : 0xff; };
    activations_.release({});
    backward_.release({});
    if (first) {
      std::fill(touched_.begin(), touched_.end(), std::uint8_t{0});
      std::memset(grads_.as<std::byte>(), fill(Zeroed::gradients), grads_.bytes());
      std::fill_n(grads_.as<T>() + first_average, subtree<L>().averaged, T(0));
    }
    fill_arena(activations_, fill(Zeroed::results));
    fill_arena(backward_, fill(Zeroed::results));
    fill_arena(scratch_, fill(Zeroed::scratch));
    Random upcoming = first_random();
    const auto ctx = context<Phase::train>(upcoming);
    const Context<DefaultCpu, T, Phase::backward> back(device_, backward_, scratch_);
    const auto p = params_view();
    const FlatView<L, GradCursor<T>> g(
        {grads_.as<T>(), touched_.data(), grads_.as<T>() + first_average});
    const auto r = cohort::forward(ctx, p, input());
    draws_ = upcoming.place() > 0;
    output_is_finite_ =
        std::all_of(r.y.data, r.y.data + r.y.size(), [](const T& v) { return std::isfinite(v); });
    fill_arena(scratch_, fill(Zeroed::scratch));  // gone when forward has returned
    const Tensor<const T, L::Output::extent> dy{weights_.data(), options_.rows};
    const auto dx = cohort::backward(back, p, r.saved, dy, g);
    if constexpr (!takes_tokens) input_gradient_.assign(dx.data, dx.data + dx.size());
  }

  /// f(parameter, values, gradient or nullptr, name) for every one; of an averaged one its sums.
  template <class F> void for_each_parameter(F f) {
    const std::vector<std::string> names = parameter_names<L>();
    for (std::size_t i = 0; i < names.size(); ++i) {
      const ParamInfo& p = layout.params[i];
      const bool given = p.averages() || (p.trains && touched_[i]);
      f(p, params_.as<T>() + p.offset, given ? grads() + p.offset : nullptr, names[i]);
    }
  }
  /// f(values, gradient or nullptr, elements, name) for every trained parameter and the input.
  template <class F> void for_each_gradient(F f) {
    for_each_parameter([&](const ParamInfo& p, T* values, const T* g, const std::string& name) {
      if (p.trains) f(values, g, p.numel, name);
    });
    if constexpr (!takes_tokens)
      f(input_.data(), static_cast<const T*>(input_gradient_.data()), input_.size(), "input");
  }
  /// What is not finite first: the output, a gradient; "" if all is.
  std::string not_finite() {
    std::string found = output_is_finite_ ? "" : "output";
    for_each_gradient([&](T*, const T* g, std::size_t count, const std::string& name) {
      for (std::size_t k = 0; g != nullptr && found.empty() && k < count; ++k)
        if (!std::isfinite(g[k])) found = name;
    });
    return found;
  }
  /// Takes the input of half as many samples, twice.
  void repeat(const LayerAlone& half) {
    const auto twice = [](auto& to, const auto& from) {
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i % from.size()];
    };
    twice(ids_, half.ids_);
    twice(input_, half.input_);
    twice(weights_, half.weights_);
  }

 private:
  static void fill_arena(Arena& arena, int byte) {
    if (arena.capacity() == 0) return;
    const Arena::Mark mark = arena.mark();
    const std::size_t free = arena.capacity() - arena.used();
    std::memset(arena.take<std::byte>(free), byte, free);
    arena.release(mark);
  }
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

  static constexpr Layout<L, CutAtRepeat> layout{};
  static constexpr std::size_t first_average = layout.first_averaged;

  GradientCheckOptions options_;
  const std::int64_t steps_ = 0;
  bool draws_ = false, output_is_finite_ = true;
  DefaultCpu device_;
  HostMemory params_, grads_;
  Arena activations_, backward_, scratch_;
  std::vector<std::uint8_t> touched_;
  std::vector<T> input_, input_gradient_, weights_;
  std::vector<int> ids_;
};

}  // namespace cohort::detail
