// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/cuda/finish.hpp: the end of a step on a GPU: queued, concluded there, reported later.
#pragma once
#include <array>
#include <cohort/device/cuda/event.hpp>
#include <cohort/ops/cross_entropy.hpp>
#include <cohort/ops/cuda/average.hpp>
#include <cohort/ops/cuda/grad_norm.hpp>
#include <cohort/run/cuda/state.hpp>
#include <cohort/run/finish.hpp>

namespace cohort::detail {

/// Finish without waiting for the GPU: norm, clipping coefficient, learning rate and the decision to update
/// stay in its memory. Reports come back in pinned memory, for up to `most` steps under way.
template <class Plan, class Driver> class Finish<Plan, Driver, Cuda> {
 public:
  using D = typename Plan::gradient;
  using C = typename Plan::compute;
  using Slots = typename Plan::slots;
  using Optimizer = typename Slots::optimizer;
  using State = CudaState<Plan>;
  static constexpr std::int64_t most =
      Plan::slots::capture::captures ? 2 : 4;  // a replay in progress, a next one
  static_assert(!Plan::clips_values,
                "cohort: ClipGradValue has no body for GPUs yet. Use ClipGradNorm there. "
                "[cohort/policies/clip_grad_value.hpp]");

  Finish(Driver& driver, const Options<Slots>& options, double rows, int divisor)
      : driver_(driver),
        options_(options),
        state_(driver.totals().state()),
        outcomes_(most * sizeof(Outcome)) {
    const LossScaler<Plan> scaler(rows, divisor);
    device().upload(&state_->scaler, &scaler, sizeof scaler);
  }

  void begin() { cuda::launch(device(), 1, BeginStep<Plan>{state_}); }
  /// In the GPU's memory: losses read it there.
  const float* seed() const { return &state_->seed; }
  void add(ops::LossOnDevice) {}  // the loss's kernels have added theirs

  void operator()(const ShardTables& tables, Arena&) {
    driver_.wait_for_reductions();
    if constexpr (Plan::needs_norm) {
      [[maybe_unused]] const auto span = driver_.timeline().template span<Activity::norm>();
      driver_.storage().for_each_shard(tables.decays, [&](const auto& shard, C*) {
        ops::add_square_sum(device(), shard.size, shard.grads, state_->limbs);
      });
      driver_.reached(Plan::markers::squared);
      driver_.wait_for_norm();
    }
    update(tables);
    if constexpr (!Plan::needs_norm) driver_.reached(Plan::markers::squared);
    driver_.reached(Plan::markers::updated);
    driver_.finish();
  }
  /// Queues the report of the step that was queued last.
  void report() {
    if (begun_ - read_ == most) read_one();
    Outcome* to = outcome(begun_);
    cuda::check(cudaMemcpyAsync(to, &state_->outcome, sizeof(Outcome), cudaMemcpyDeviceToHost,
                                device().stream));
    arrived_[static_cast<std::size_t>(begun_ % most)].record(device().stream);
    ++begun_;
  }
  /// The conclusion is on the GPU, where steps after a bad one change nothing: wait() throws it.
  void check() const {}
  /// Waits for all steps that were begun; throws what the first bad one found.
  StepReport wait() const {
    while (read_ < begun_) read_one();
    return last_.conclusion.report;
  }

  std::int64_t steps() const { return wait().step; }
  /// In the GPU's memory: the updates done before the step that is queued.
  const std::int64_t* step_counter() const { return &state_->steps; }
  double unscale() const { return last_.conclusion.unscale; }
  LossScale loss_scale() const {
    driver_.machine().settle();
    return scaler().state();
  }
  void set_loss_scale(LossScale state) {
    driver_.machine().settle();
    LossScaler<Plan> changed = scaler();
    changed.set(state);
    device().upload(&state_->scaler, &changed, sizeof changed);
  }

  /// Goes on as after `steps` updates.
  void resume(std::int64_t steps, LossScale scale) {
    wait();
    device().upload(&state_->steps, &steps, sizeof steps);
    last_.conclusion.report.step = steps;
    if constexpr (Plan::scales_loss) set_loss_scale(scale);
  }

  /// Losses add to sums of their own while this rank evaluates.
  void begin_evaluation() {
    driver_.machine().settle();
    driver_.machine().report_to(driver_.totals().evaluated_words(), &state_->outcome.fault);
    device().zero(driver_.totals().evaluated_words(), 2 * sizeof(double));
  }
  void add_evaluated(ops::LossOnDevice) {}
  LossSum evaluated() {
    double words[2];
    driver_.machine().settle();
    device().download(words, driver_.totals().evaluated_words(), sizeof words);
    driver_.machine().report_to(driver_.totals().loss_words(), &state_->outcome.fault);
    Outcome now;
    device().download(&now, &state_->outcome, sizeof now);
    check_fault(now.fault);
    return {words[0], words[1]};
  }

 private:
  const Cuda& device() const { return driver_.machine().compute(); }
  int rank() const { return driver_.machine().comm().rank(); }
  void update(const ShardTables& tables) {
    [[maybe_unused]] const auto span = driver_.timeline().template span<Activity::update>();
    if constexpr (Plan::averages)
      driver_.storage().find_non_finite_average(device(), &state_->bad_average);
    cuda::launch(device(), 1, ConcludeStep<Plan>{state_, options_});
    std::size_t first = 0;
    driver_.storage().for_each_shard(tables.decays, [&](const auto& shard, C* copies) {
      Optimizer::update(device(), shard, &state_->update, copies, rounding(tables, first));
      first += shard.size;
    });
    if constexpr (Plan::averages)
      driver_.storage().update_averages(device(),
                                        static_cast<const std::int32_t*>(&state_->update.skip));
  }
  Outcome* outcome(std::int64_t step) const {
    return outcomes_.template as<Outcome>() + step % most;
  }
  LossScaler<Plan> scaler() const {
    LossScaler<Plan> now;
    device().download(&now, &state_->scaler, sizeof now);
    return now;
  }
  auto rounding(const ShardTables& tables, std::size_t first) const {
    if constexpr (Plan::rounds_at_random)
      return ops::RandomRounding{options_.seed, tables.chunk_numbers, first};
    else
      return ops::NearestRounding{};
  }
  /// Waits for the oldest step's report. A peer's failure or a late one is found by the communicator.
  void read_one() const {
    driver_.machine().wait(arrived_[static_cast<std::size_t>(read_ % most)]);
    last_ = *outcome(read_++);
    check_fault(last_.fault);
    check_conclusion(rank(), last_.conclusion);
  }
  void check_fault(const cuda::Fault& f) const {
    if (f.kind == cuda::Fault::none) return;
    const std::string value = std::to_string(f.value), row = std::to_string(f.row);
    if (f.kind == cuda::Fault::token)
      throw InvalidInput(rank(), "embedding",
                         "token " + value + " at row " + row +
                             " is outside the vocabulary. Check the tokenizer, or make the "
                             "embedding larger.");
    throw InvalidInput(rank(), "cross_entropy",
                       "target " + value + " at row " + row +
                           " is outside the classes and is not the ignored label " +
                           std::to_string(ops::ignored_label) + ". Check the labels.");
  }

  Driver& driver_;
  const Options<Slots>& options_;
  State* state_;
  cuda::PinnedMemory outcomes_;
  std::array<cuda::Event, most> arrived_;
  std::int64_t begun_ = 0;
  mutable std::int64_t read_ = 0;  // reports: reading one changes nothing that a step sees
  mutable Outcome last_;
};

}  // namespace cohort::detail
