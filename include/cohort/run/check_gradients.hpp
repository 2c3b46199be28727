// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/check_gradients.hpp: a layer's backward against finite differences, in fp64.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/run/layer_alone.hpp>
#include <string>
#include <vector>

namespace cohort {

namespace detail {
/// Compares d loss / d (element) for some elements of each parameter and of the input, all where there are few.
template <class L> GradientCheck compare_derivatives(LayerAlone<L>& layer) {
  GradientCheck check;
  const auto most = static_cast<std::size_t>(layer.options().most_each);
  layer.for_each_gradient(
      [&](double* values, const double* g, std::size_t count, const std::string& name) {
        for (std::size_t i = 0; i < count; i += std::max<std::size_t>(1, count / most))
          compare(check, g ? g[i] : 0, derivative(values[i], [&] { return layer.loss(); }), name);
      });
  return check;
}

/// Where something is not finite: which memory must hold zeros for all to be numbers?
template <class L> void explain_not_finite(LayerAlone<L>& layer, GradientCheck& check) {
  const std::string where = layer.not_finite();
  const auto helps = [&](Zeroed zeroed) {
    layer.gradients(true, zeroed);
    return layer.not_finite().empty();
  };
  if (helps(Zeroed::scratch))
    fail(check, where,
         "something kept lies in ctx.scratch, or scratch is read before it was written. Scratch is "
         "gone when forward returns: what a child keeps of its input must come from ctx.make, and "
         "be kept here too.");
  else if (helps(Zeroed::results))
    fail(check, where,
         "a tensor of ctx.make or ctx.like is read before it was written: it does not begin with "
         "zeros. Assign before you add.");
  else if (helps(Zeroed::gradients))
    fail(check, where,
         "a gradient is added to before it was written: where contribute().first is true, "
         "overwrite every element; map() and data() begin with zeros.");
}

/// A second micro-batch like the first doubles every gradient, and what is added to averages.
template <class L> void check_second_micro_batch(LayerAlone<L>& layer, GradientCheck& check) {
  const std::vector<double> once(layer.grads(), layer.grads() + flat_size<L>());
  layer.gradients(false);
  for (const bool averages : {false, true}) {
    const char* cause =
        averages ? "a second micro-batch did not add to this average: its sums begin with zeros in "
                   "every step, write g[name].map() += ..."
                 : "a second micro-batch did not add its gradient: write g[name].map() += ..., or "
                   "add where contribute().first is false.";
    layer.for_each_parameter(
        [&](const ParamInfo& p, double*, const double* twice, const std::string& name) {
          if (p.averages() != averages || twice == nullptr) return;
          const double* before = once.data() + p.offset;
          for (std::size_t k = 0; check.cause.empty() && k < p.numel; ++k)
            if (!(std::abs(twice[k] - 2 * before[k]) <= 1e-6 * std::max(1.0, std::abs(before[k]))))
              fail(check, name, cause);
        });
  }
}

/// Twice the same samples add twice as much to averages: within a half, for who divides by rows - 1.
template <class L> void check_averages(LayerAlone<L>& layer, GradientCheck& check) {
  GradientCheckOptions options = layer.options();
  if (layer.draws() || !check.cause.empty() || options.rows.count() < 3) return;
  layer.gradients();
  options.rows.samples *= 2;
  LayerAlone<L> other(options);
  other.repeat(layer);
  other.gradients();
  layer.for_each_parameter(
      [&](const ParamInfo& p, double*, const double* one, const std::string& name) {
        const double* two = other.grads() + p.offset;
        for (std::size_t k = 0; p.averages() && check.cause.empty() && k < p.numel; ++k)
          if (std::abs(two[k] - 2 * one[k]) > 0.5 * std::abs(one[k]) + 1e-9)
            fail(check, name,
                 "twice the samples do not add twice as much to this average: add the mean over "
                 "its rows times x.rows.samples.");
      });
}

template <class L> struct NotInDouble {
  static void say() {
    static_assert(
        never<L>,
        "cohort: check_gradients computes in fp64, and this layer takes float only. Write "
        "template <class T> on the Tensor<const T, C> of forward and backward. "
        "[cohort/run/check_gradients.hpp]");
  }
};
}  // namespace detail

/// Compares L's backward, for the input and every parameter that is trained, with central
/// differences of fourth order of its forward in fp64, on random values.
///
///   static_assert(cohort::Layer<MyLayer>);
///   assert(cohort::check_gradients<MyLayer>().ok());
///
/// Laws     memory that is not a layer's own holds NaN: who adds to what nobody wrote, keeps what lies in
///          scratch, or overwrites a gradient in a second micro-batch is found, and `cause` says it.
///          So is what Averaged parameters get that does not add up, or does not count by samples.
/// Units    relative error; 1e-6 is far above the rounding of fp64 and far below any wrong term.
/// Cost     four forwards a derivative; fewer than twice options.most_each derivatives a parameter.
/// Errors   kinks (ReLU at 0) are not differentiable: choose another seed if one is hit.
template <class L> GradientCheck check_gradients(const GradientCheckOptions& options = {}) {
  if constexpr (Layer<L, DefaultCpu, double>) {
    detail::LayerAlone<L> layer(options);
    layer.gradients();
    GradientCheck check = detail::compare_derivatives(layer);
    if (!layer.not_finite().empty()) {
      detail::explain_not_finite(layer, check);
    } else if (check.ok()) {
      detail::check_second_micro_batch(layer, check);
      if constexpr (detail::LayerAlone<L>::averages) detail::check_averages(layer, check);
    }
    return check;
  } else {
    if constexpr (!Layer<L>)
      static_assert(detail::explain_layer<L>());
    else
      detail::said<detail::NotInDouble<L>>();
    return {};
  }
}

}  // namespace cohort
