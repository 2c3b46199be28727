// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/run_evaluation.hpp: a run's forward without a backward: losses and outputs of held-out rows.
#pragma once
#include <algorithm>
#include <cohort/core/context.hpp>
#include <cohort/core/error.hpp>
#include <cohort/ops/loss_sum.hpp>
#include <cohort/plan/step_span.hpp>
#include <cohort/run/formation.hpp>
#include <string>

namespace cohort {

namespace detail {
/// Are these the rows that a step takes?
template <class Input, class Target> struct GivenAs {
  template <class X, class Y>
  static constexpr bool rows =
      std::is_convertible_v<const X&, Input>&& std::is_convertible_v<const Y&, Target>;
};
template <class X, class Y> struct NotRows {
  static void say() {
    static_assert(
        never<X, Y>,
        "cohort: step takes rows: pointer, and how many: run.step({x.data(), {samples, tokens}}, "
        "{y.data(), {samples, tokens}}), of float for Features, of int for Tokens (CrossEntropy's "
        "targets); {samples} where there are no tokens. [cohort/run/execution.hpp]");
  }
};
}  // namespace detail

/// What Execution offers of the model's forward alone. It keeps nothing and changes no bit of a training.
template <class Plan, class Run> class RunEvaluation {
 public:
  using Input = value_of<typename Plan::model::Input, typename Plan::gradient>;
  using Target = value_of<typename Plan::loss::Target, typename Plan::gradient>;
  using Output = value_of<typename Plan::model::Output, typename Plan::compute>;

  /// Sum and weight of the loss over all ranks' rows, without gradients. Rows may differ by rank,
  /// also be none; they pass micro-batch by micro-batch, for which there is memory. Collective.
  ops::LossSum evaluate(Input x, Target y) {
    Run& r = run();
    if (x.rows.samples > 0) r.check_rows(x.rows, y.rows);
    return r.guarded("evaluate", [&] {
      [[maybe_unused]] const auto span = r.template between_steps<Activity::evaluation>();
      r.finish_.begin_evaluation();
      const int at_once = r.most_samples();
      const int most = detail::samples_of_any<Plan>(r.world_, x.rows.samples);
      for (int first = 0; first < most; first += at_once) {
        const int count = std::min(at_once, x.rows.samples - first);
        if (count <= 0) {
          r.driver_.gather_all();  // other ranks still have rows, and need this rank's shards
          continue;
        }
        const auto rows = r.inputs_(x.samples(first, count), y.samples(first, count));
        const auto ctx = context();
        r.finish_.add_evaluated(Plan::loss::evaluate(ctx, forward(ctx, rows.first), rows.second));
      }
      const ops::LossSum local = r.finish_.evaluated();
      double totals[2] = {local.sum, local.weight};
      r.world_.all_reduce(totals, std::size_t{2});
      return ops::LossSum{totals[0], totals[1]};
    });
  }
  template <class Batch> ops::LossSum evaluate(const Batch& batch) requires requires {
    batch.inputs.data();
  }
  { return evaluate(inputs_of(batch), targets_of(batch)); }
  /// The model's output in the compute type for this rank's rows, at most one micro-batch, for the host to
  /// read until the next call. Collective.
  Output predict(Input x) {
    Run& r = run();
    r.check_rows(x.rows, x.rows);
    if (x.rows.samples > r.most_samples()) {
      throw InvalidInput(r.rank(), "predict",
                         std::to_string(x.rows.samples) + " samples exceed the " +
                             std::to_string(r.most_samples()) +
                             " of a micro-batch, for which there is memory: give fewer at a time.");
    }
    return r.guarded("predict", [&] {
      [[maybe_unused]] const auto span = r.template between_steps<Activity::prediction>();
      const auto input = r.inputs_(x);
      const auto ctx = context();
      return r.inputs_.result(forward(ctx, input));
    });
  }

 protected:
  /// A batch's inputs and targets as what the model and the loss take.
  template <class Batch> static Input inputs_of(const Batch& batch) {
    return {batch.inputs.data(), {batch.samples, batch.tokens}};
  }
  template <class Batch> static Target targets_of(const Batch& batch) {
    return {batch.targets.data(), {batch.samples, batch.tokens}};
  }

 private:
  Run& run() { return static_cast<Run&>(*this); }
  auto context() {
    run().activations_->release({});
    return run().template context<Phase::evaluate>(run().activations_);
  }
  template <class Ctx, class X> auto forward(const Ctx& ctx, X x) {
    Run& r = run();
    r.driver_.begin_evaluation();
    const auto y = cohort::forward(ctx, r.driver_.parameters(), r.computed_with(ctx, x)).y;
    r.driver_.end_evaluation();
    return y;
  }
};

}  // namespace cohort
