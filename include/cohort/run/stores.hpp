// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/stores.hpp: what p and g stand on in a step: memory by unit, and the hooks of the
// plan.
#pragma once
#include <cohort/core/units.hpp>
#include <cohort/plan/step_span.hpp>

namespace cohort::detail {

/// Parameters of a run, unit by unit.
template <class Run> struct ParamStore {
  using cursor = typename Run::param_cursor;
  using cut = typename Run::plan_type::cut;
  static constexpr bool watches = Run::watches;
  Run* run;
  cursor at(int unit) const { return run->params_of_unit(unit); }
  void before_forward(int unit) const { run->before_forward(unit); }
  void before_backward(int unit) const { run->before_backward(unit); }
  void after_backward(int unit) const { run->after_backward(unit); }
  template <class Y> void after_forward(int unit, const Y& y) const { run->after_forward(unit, y); }
  template <class X> void passed_back(int unit, const X& dx) const { run->passed_back(unit, dx); }
  auto forward_span(int unit) const {
    return run->timeline().template span<Activity::forward>(unit);
  }
  auto backward_span(int unit) const {
    return run->timeline().template span<Activity::backward>(unit);
  }
};

/// Gradients of a run, unit by unit. Hooks are the parameter store's.
template <class Run> struct GradStore {
  using cursor = typename Run::grad_cursor;
  using cut = typename Run::plan_type::cut;
  Run* run;
  cursor at(int unit) const { return run->grads_of_unit(unit); }
};

/// The view of a whole model over a store.
template <class Model, class Store> auto top_view(const Store& store) {
  return DividedView<Model, Store>::template view_of<Model, false>(store, 0);
}

}  // namespace cohort::detail
