// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/finish.hpp: the end of a step: the conclusion, the update and the report, on the host.
#pragma once
#include <cohort/core/arena.hpp>
#include <cohort/plan/step_span.hpp>
#include <cohort/run/conclusion.hpp>
#include <cohort/run/shard_tables.hpp>
#include <cohort/run/update.hpp>

namespace cohort::detail {

/// Knows how many steps were done and with which loss scale; ends each step. run/cuda/finish.hpp does the
/// same without waiting for the device.
///
/// Errors   check: what the step's conclusion says, on every rank alike, after the step's last operation:
///          the run can go on as if there had been no such step.
template <class Plan, class Driver, class Device> class Finish {
 public:
  using D = typename Plan::gradient;
  using Slots = typename Plan::slots;
  using Scale = float;

  Finish(Driver& driver, const Options<Slots>& options, double rows, int divisor)
      : driver_(driver), options_(options), scaler_(rows, divisor) {}

  void begin() { driver_.totals().loss() = {}; }
  /// What the loss of a micro-batch multiplies its gradient with, and where its total goes.
  Scale seed() const { return scaler_.seed(); }
  void add(LossSum total) { driver_.totals().loss() += total; }

  void operator()(const ShardTables& tables, Arena& scratch) {
    driver_.wait_for_reductions();
    const LossSum total = driver_.totals().loss();
    double squares = 0;
    if constexpr (Plan::needs_norm) squares = squared_norm(tables);
    bool finite = true;
    if constexpr (Plan::averages) finite = driver_.storage().averages_are_finite(device());
    conclusion_ = conclude<Plan>(total, squares, scaler_, options_, steps_, finite);
    const Conclusion& c = conclusion_;
    unscale_ = c.unscale;
    if (c.applies) apply(c.update, tables, scratch);
    if (c.applies || c.report.skipped) {
      report_ = c.report;
      steps_ = c.report.step;
      scaler_.after_step(c.report.skipped);
    }
    if constexpr (!Plan::needs_norm) driver_.reached(Plan::markers::squared);
    driver_.reached(Plan::markers::updated);
    driver_.finish();
  }
  void report() {}
  /// Throws what a conclusion without an update means, on all ranks alike.
  void check() const {
    if constexpr (Driver::watches)
      if (conclusion_.broken) throw_explained(conclusion_.report);
    check_conclusion(driver_.machine().comm().rank(), conclusion_);
  }
  /// The report of the last step; nothing is left to wait for.
  StepReport wait() { return report_; }

  std::int64_t steps() const { return steps_; }
  /// The same where the device finds it.
  const std::int64_t* step_counter() const { return &steps_; }
  double unscale() const { return unscale_; }  // of the last step's gradients
  LossScale loss_scale() const { return scaler_.state(); }
  void set_loss_scale(LossScale state) { scaler_.set(state); }
  /// Goes on as after `steps` updates.
  void resume(std::int64_t steps, LossScale scale) {
    steps_ = report_.step = steps;
    if constexpr (Plan::scales_loss) scaler_.set(scale);
  }

  /// The loss of an evaluation on this rank.
  void begin_evaluation() { evaluated_ = {}; }
  void add_evaluated(LossSum part) { evaluated_ += part; }
  LossSum evaluated() const { return evaluated_; }

 private:
  const Device& device() const { return driver_.machine().compute(); }

  void apply(const UpdateStep& now, const ShardTables& tables, Arena& arena) {
    [[maybe_unused]] const auto span = driver_.timeline().template span<Activity::update>();
    D* scratch = nullptr;
    if constexpr (Plan::update_bytes > 0)
      scratch = arena.template take<D>(Plan::update_bytes / sizeof(D));
    double most = 0;
    if constexpr (Plan::clips_values) most = options_.clip.max_value;
    const Update<Plan, Device> update(device(), now, options_.optimizer, options_.seed, scratch,
                                      tables.chunk_numbers, most);
    std::size_t first = 0;
    driver_.storage().for_each_shard(tables.decays,
                                     [&](const auto& shard, typename Plan::compute* copies) {
                                       update(shard, copies, first);
                                       first += shard.size;
                                     });
    if constexpr (Plan::averages) driver_.storage().update_averages(device());
    arena.release({});
  }
  /// All ranks have come to the same conclusion, so all of them are here.
  [[noreturn]] void throw_explained(StepReport report) const {
    LossSum loss;
    const std::string cause = driver_.explain(loss);
    report.loss = loss.mean();
    throw_non_finite(driver_.machine().comm().rank(), report, cause);
  }
  double squared_norm(const ShardTables& tables) {
    [[maybe_unused]] const auto span = driver_.timeline().template span<Activity::norm>();
    ops::ExactSum& squares = driver_.totals().squares();
    squares = {};
    driver_.storage().for_each_shard(
        tables.decays, [&](const auto& shard, typename Plan::compute*) {
          ops::add_square_sum(device(), shard.size, shard.grads, squares);
        });
    driver_.reached(Plan::markers::squared);
    driver_.wait_for_norm();
    return squares.value();
  }

  Driver& driver_;
  const Options<Slots>& options_;
  LossScaler<Plan> scaler_;
  Conclusion conclusion_;
  StepReport report_;
  LossSum evaluated_;
  double unscale_ = 1;
  std::int64_t steps_ = 0;
};

}  // namespace cohort::detail
