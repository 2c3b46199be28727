// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/driver.hpp: where a model's own forward and backward meet the plan: hooks, operations, streams.
#pragma once
#include <array>
#include <cohort/run/anomalies.hpp>
#include <cohort/run/averaged_storage.hpp>
#include <cohort/run/machine.hpp>
#include <cohort/run/partial_sums.hpp>
#include <cohort/run/stores.hpp>
#include <cohort/run/timeline.hpp>
#include <exception>
#include <limits>

namespace cohort::detail {

/// Owns a rank's storage and its communication stream. The model's views call its hooks, which announce
/// where compute is and wait for what the unit needs; the stream calls it to run operations.
///
/// Errors   ContractBroken when the model calls its units out of their declared order.
template <class Plan, class World> class Driver {
 public:
  using plan_type = Plan;
  using T = typename Plan::compute;
  using D = typename Plan::gradient;
  using Device = typename Plan::device;
  using Machine = detail::Machine<World, Device, Plan::in_tree_order>;
  using Comm = typename Machine::Comm;
  using Storage = RunStorage<Plan, Comm>;
  using Totals = detail::Totals<Plan, Device>;
  using param_cursor = param_cursor_on<T, Device>;
  using grad_cursor = grad_cursor_on<D, Device>;
  using markers = typename Plan::markers;
  using Timeline = detail::Timeline<Plan>;

  static constexpr bool watches = Plan::detects_anomalies && on_host<Device>;
  static constexpr bool tf32 = Plan::slots::precision::tf32_products;

  Driver(World& world, const Options<typename Plan::slots>& options)
      : machine_(world, options, tf32, Plan::exchange_bytes(world.size())),
        totals_(machine_),
        storage_(machine_.comm(), machine_.communication()),
        partial_sums_(world.size()),
        stream_(machine_.template stream<Plan>(*this, options.stream)) {}

  Storage& storage() { return storage_; }
  const Storage& storage() const { return storage_; }
  const Machine& machine() const { return machine_; }
  bool has_worker() const { return stream_.has_worker(); }
  /// Hears of what happens below.
  Timeline& timeline() { return timeline_; }
  const Timeline& timeline() const { return timeline_; }

  /// Parameters and gradients of the whole model, as views whose units fire the hooks below.
  auto parameters() { return top_view<typename Plan::model>(params_); }
  auto gradients() { return top_view<typename Plan::model>(grads_); }

  void before_forward(int unit) {
    if (evaluating_) {
      machine_.keep_pace();
      return gather(unit);
    }
    reached(markers::forward(unit), unit);
    wait(waits_->forward[unit]);
  }
  void before_backward(int unit) {
    reached(markers::backward(unit), unit);
    wait(waits_->backward[unit]);
  }
  void after_backward(int unit) {
    const UnitInfo& u = Plan::layout.units[unit];
    for (int i = u.first_param; i < u.first_param + u.num_params; ++i) {
      const ParamInfo& p = Plan::layout.params[i];
      if (touched_[i] || !p.trains) continue;  // else no contribution in the first micro-batch
      device().zero(gradients_at(unit) + (p.offset - u.offset), p.numel * sizeof(D));
      touched_[i] = 1;
    }
    if constexpr (Storage::restarts_gradients) storage_.zero_padding(device(), unit);
    if constexpr (watches) {
      anomalies_.after_backward(unit, gradients_at(unit));
      if constexpr (Plan::averages) anomalies_.after_averages(unit, average_sums_at(unit));
      // The loss is reduced after unit 0: it tells all ranks, where no norm will.
      if (!Plan::needs_norm && unit == 0 && anomalies_.bad_gradient())
        totals_.loss().sum = std::numeric_limits<double>::quiet_NaN();
    }
    partial_sums_.add_gradients(device(), unit, storage_.grad(unit));
    if constexpr (Plan::averages)
      if (unit == 0) partial_sums_.add_averages(device(), storage_.step_sums());
    reached(markers::backward_ended(unit), unit);
  }
  /// What DetectAnomaly looks at beside gradients.
  template <class Y> void after_forward(int unit, const Y& y) {
    if (!evaluating_) anomalies_.output(unit, y);
  }
  template <class... Seen> void after_loss([[maybe_unused]] const Seen&... seen) {
    if constexpr (watches) anomalies_.after_loss(seen...);
  }
  template <class X> void passed_back(int unit, const X& dx) { anomalies_.passed_back(unit, dx); }
  /// Says on every rank where the step went wrong. Collective, when reductions are done.
  std::string explain(LossSum& loss) requires watches {
    return anomalies_.explain(machine_.comm(), storage_, loss);
  }
  param_cursor params_of_unit(int unit) const {
    param_cursor p{storage_.param(unit), storage_.frozen(unit)};
    if constexpr (Plan::averages) p.averaged = storage_.average(unit);
    return p;
  }
  grad_cursor grads_of_unit(int unit) {
    grad_cursor g = machine_.gradients(gradients_at(unit),
                                       touched_.data() + Plan::layout.units[unit].first_param);
    if constexpr (Plan::averages) g.sums = average_sums_at(unit);
    return g;
  }

  /// Micro-batch `index` of a step in which this rank has `samples` samples.
  template <MicroBatch M> void begin(int index, [[maybe_unused]] int samples) {
    const bool new_sums = partial_sums_.begin(index);
    if (new_sums || Storage::restarts_gradients) touched_.fill(0);
    if (new_sums) partial_sums_.begin_loss(device(), totals_.loss_words());
    if constexpr (Plan::averages)
      if (new_sums)
        storage_.begin_averages(device(), partial_sums_.averages(storage_.step_sums()),
                                samples / partial_sums_.parts());
    storage_.begin_micro_batch(is_first(M));
    if constexpr (watches) anomalies_.begin_micro_batch(is_first(M));
    waits_ = &Plan::template waits<M>;
    marker_ = 0;
    timeline_.template begin<M>();
    stream_.template begin<M>();
    reached(markers::begin);
  }
  void reached(int marker, int unit = -1) {
    if (marker != marker_) throw_unit_order(machine_.comm().rank(), marker_, unit);
    ++marker_;
    machine_.keep_pace();
    stream_.reached(marker);
  }
  /// Every unit has been called, forward and backward.
  void check_all_units() const {
    if (marker_ != markers::squared) throw_unit_order(machine_.comm().rank(), marker_, -1);
  }
  void wait_for_reductions() { wait(waits_->reduced); }
  void wait_for_norm() { wait(waits_->normed); }
  void finish() {
    [[maybe_unused]] const auto span = timeline_.wait_for_all(stream_.has_worker());
    stream_.finish();
  }

  /// Between these two units gather their parameters on the compute thread.
  void begin_evaluation() {
    evaluating_ = true;
    group_ = -1;
  }
  void end_evaluation() { evaluating_ = false; }
  void gather_all() {
    group_ = -1;
    for (int u = 0; u < Plan::num_units; ++u) gather(u);
  }

  /// This rank's part of the loss, then all ranks'; and of the squares of the gradient.
  Totals& totals() { return totals_; }
  /// The loss of this micro-batch is among them.
  void loss_added() { partial_sums_.add_loss(device(), totals_.loss_words()); }
  /// What this rank does of the ranks whose bits the step has.
  const PartialSums<Plan>& partial_sums() const { return partial_sums_; }

  /// Runs one planned operation; called by the stream, on its thread.
  void run_op(const Op& op) {
    [[maybe_unused]] const auto span = timeline_.operation(op, !stream_.has_worker());
    Comm& comm = machine_.comm();
    if (op.kind == OpKind::loss) {
      comm.all_reduce(totals_.loss_words(), std::size_t{2});
    } else if (op.kind == OpKind::norm) {
      if constexpr (Storage::norm_is_partial) {
        constexpr std::size_t limbs = ops::ExactSum::num_limbs;
        storage_.norm_axis(comm).all_reduce(totals_.limbs(), limbs);
      }
    } else {
      storage_.run(op, comm);
    }
  }
  void fail(std::exception_ptr cause) { machine_.comm().abort(cause); }

 private:
  const Device& device() const { return machine_.compute(); }
  /// Where this micro-batch adds up.
  D* gradients_at(int unit) const { return partial_sums_.gradients(unit, storage_.grad(unit)); }
  D* average_sums_at(int unit) const {
    return partial_sums_.averages(
        storage_.average_sums(unit),
        static_cast<std::size_t>(storage_.average_sums(unit) - storage_.step_sums()));
  }
  void wait(int ops) {
    [[maybe_unused]] const auto span = timeline_.wait(ops, stream_.has_worker());
    stream_.wait(ops);
  }
  void gather(int unit) {
    if (!Plan::data::shards_params || Plan::groups.of[unit] == group_) return;
    group_ = Plan::groups.of[unit];
    stream_.outside([&] { storage_.gather(unit, machine_.comm()); });
  }

  Machine machine_;
  Totals totals_;
  Storage storage_;
  [[no_unique_address]] PartialSums<Plan> partial_sums_;
  ParamStore<Driver> params_{this};
  GradStore<Driver> grads_{this};
  std::array<std::uint8_t, Plan::layout.num_params> touched_{};
  const Waits<Plan::num_units>* waits_ = nullptr;
  int marker_ = 0, group_ = -1;
  bool evaluating_ = false;
  [[no_unique_address]] Anomalies<Plan, watches> anomalies_;
  [[no_unique_address]] Timeline timeline_;
  typename Machine::template Stream<Plan, Driver>
      stream_;  // last: its worker ends before anything it touches
};

}  // namespace cohort::detail
