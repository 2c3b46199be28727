// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/check_gradients.hpp: a layer's backward against finite differences, in fp64.
#pragma once
#include <cohort/run/gradient_probe.hpp>

namespace cohort {

namespace detail {
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
/// Cost     four forwards a derivative; at most options.most_each derivatives a parameter.
/// Errors   kinks (ReLU at 0) are not differentiable: choose another seed if one is hit.
template <class L> GradientCheck check_gradients(const GradientCheckOptions& options = {}) {
  if constexpr (Layer<L, DefaultCpu, double>) {
    return detail::GradientProbe<L>(options).run();
  } else {
    if constexpr (!Layer<L>)
      static_assert(detail::explain_layer<L>());
    else
      detail::said<detail::NotInDouble<L>>();
    return {};
  }
}

}  // namespace cohort
