// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/gradient_probe.hpp: a layer alone, its gradients against differences, its memory full of NaN.
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

namespace cohort {

namespace detail {
/// df / dx by central differences of fourth order; x is put back.
template <class F> double derivative(double& x, F f) {
  const double kept = x, h = 1e-5;
  const auto at = [&](double value) {
    x = value;
    return f();
  };
  const double slope =
      (8 * (at(kept + h) - at(kept - h)) - (at(kept + 2 * h) - at(kept - 2 * h))) / (12 * h);
  x = kept;
  return slope;
}

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
  /// Memory that holds what a layer must not rely on: NaN, unless it is the one whose content is asked for.
  enum class Zeroed { nothing, gradients, results, scratch };
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
  /// Compares d loss / d (element) for up to most_each elements of a range.
  void compare(GradientCheck& check, T* values, const T* gradient, std::size_t count,
               const std::string& where) {
    const std::size_t step =
        std::max<std::size_t>(1, count / static_cast<std::size_t>(options_.most_each));
    for (std::size_t i = 0; i < count; i += step) {
      const double numeric = derivative(values[i], [this] { return loss(); });
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
    for_each_gradient([&](T* values, const T* g, std::size_t count, const std::string& name) {
      compare(check, values, g, count, name);
    });
    if (!finite()) {
      explain(check);
    } else if (check.ok()) {
      accumulate(check);
      if constexpr (averages) weigh(check);
    }
    return check;
  }

 private:
  /// f(values, gradient or nullptr, elements, name) for every trained parameter and the input.
  template <class F> void for_each_gradient(F f) {
    const std::vector<std::string> names = parameter_names<L>();
    std::size_t offset = 0;  // of trained parameters, which come first
    cohort::for_each_parameter<L>([&]<class P>(int i) {
      if constexpr (P::trains) {
        const T* g = touched_[static_cast<std::size_t>(i)] ? grads_.as<T>() + offset : nullptr;
        f(params_.as<T>() + offset, g, P::numel, names[static_cast<std::size_t>(i)]);
        offset += P::padded;
      }
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
  bool finite() { return not_finite().empty(); }
  static void fail(GradientCheck& check, const std::string& where, const char* cause) {
    check.worst = HUGE_VAL;
    check.where = where;
    check.cause = cause;
  }
  /// Which memory must hold zeros for the gradients to be numbers?
  void explain(GradientCheck& check) {
    const std::string where = not_finite();
    const auto helps = [&](Zeroed zeroed) {
      gradients(true, zeroed);
      return finite();
    };
    if (helps(Zeroed::scratch))
      fail(check, where,
           "something kept lies in ctx.scratch, or scratch is read before it was written. Scratch "
           "is gone when forward returns: what a child keeps of its input must come from ctx.make, "
           "and "
           "be kept here too.");
    else if (helps(Zeroed::results))
      fail(check, where,
           "a tensor of ctx.make or ctx.like is read before it was written: it does not begin with "
           "zeros. Assign before you add.");
    else if (helps(Zeroed::gradients))
      fail(check, where,
           "a gradient is added to before it was written: where contribute().first is true, "
           "overwrite every element; map() and data() begin with zeros.");
    gradients();
  }
  /// A second micro-batch like the first doubles every gradient, and what is added to averages.
  void accumulate(GradientCheck& check) {
    const std::vector<T> once(grads_.as<T>(), grads_.as<T>() + first_average + num_averaged);
    gradients(false);
    for_each_gradient([&](T* values, const T* g, std::size_t count, const std::string& name) {
      if (g == nullptr || values == input_.data() || !check.cause.empty()) return;
      const T* before = once.data() + (g - grads_.as<T>());
      for (std::size_t k = 0; k < count; ++k)
        if (!(std::abs(g[k] - 2 * before[k]) <= 1e-6 * std::max(1.0, std::abs(before[k]))))
          return fail(
              check, name,
              "a second micro-batch did not add its gradient: write g[name].map() += ..., or "
              "add where contribute().first is false.");
    });
    for_each_average([&](std::size_t at, std::size_t count, const std::string& name) {
      for (std::size_t k = at; check.cause.empty() && k < at + count; ++k)
        if (!(std::abs(grads_.as<T>()[k] - 2 * once[k]) <= 1e-6 * std::max(1.0, std::abs(once[k]))))
          fail(check, name,
               "a second micro-batch did not add to this average: its sums begin with zeros in "
               "every step, write g[name].map() += ...");
    });
  }
  /// Twice the same samples add twice as much to averages: within a half, for who divides by rows - 1.
  void weigh(GradientCheck& check) {
    if (draws_ || !check.cause.empty() || options_.rows.count() < 3) return;
    gradients();
    GradientCheckOptions twice = options_;
    twice.rows.samples *= 2;
    GradientProbe other(twice);
    other.repeat(*this);
    other.gradients();
    for_each_average([&](std::size_t at, std::size_t count, const std::string& name) {
      const T *one = grads_.as<T>() + at, *two = other.grads_.template as<T>() + at;
      for (std::size_t k = 0; check.cause.empty() && k < count; ++k)
        if (std::abs(two[k] - 2 * one[k]) > 0.5 * std::abs(one[k]) + 1e-9)
          fail(check, name,
               "twice the samples do not add twice as much to this average: add the mean over its "
               "rows times x.rows.samples.");
    });
  }
  /// Takes the input of a probe of half as many samples, twice.
  void repeat(const GradientProbe& half) {
    for (std::size_t i = 0; i < ids_.size(); ++i) ids_[i] = half.ids_[i % half.ids_.size()];
    for (std::size_t i = 0; i < input_.size(); ++i) input_[i] = half.input_[i % half.input_.size()];
    for (std::size_t i = 0; i < weights_.size(); ++i)
      weights_[i] = half.weights_[i % half.weights_.size()];
  }
  /// f(index in grads_, elements, name) for every averaged parameter.
  template <class F> static void for_each_average(F f) {
    const std::vector<std::string> names = parameter_names<L>();
    std::size_t at = first_average;
    cohort::for_each_parameter<L>([&]<class P>(int i) {
      if constexpr (P::averages) {
        f(at, P::numel, names[static_cast<std::size_t>(i)]);
        at += P::padded;
      }
    });
  }
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

  static constexpr std::size_t first_average = subtree<L>().trained + subtree<L>().frozen;
  static constexpr std::size_t num_averaged = subtree<L>().averaged;
  static constexpr bool averages = num_averaged > 0;

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
}  // namespace detail

}  // namespace cohort
