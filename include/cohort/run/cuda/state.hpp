// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/cuda/state.hpp: what a GPU remembers between steps, and the kernels that begin and conclude one.
#pragma once
#include <cohort/device/cuda/launch.hpp>
#include <cohort/ops/device_step.hpp>
#include <cohort/ops/exact_sum.hpp>
#include <cohort/run/conclusion.hpp>
#include <cohort/run/cuda/machine.hpp>

namespace cohort::detail {

/// What the host reads of a step when it is over.
struct Outcome {
  Conclusion conclusion;
  cuda::Fault fault;
  std::int32_t halted = 0;  // an earlier step could not be concluded: this one changed nothing
};

/// In device memory, so that a step needs nothing from the host that the last one found out.
template <class Plan> struct CudaState {
  using Optimizer = typename Plan::slots::optimizer;
  using Step = typename Optimizer::template Step<typename Plan::gradient>;
  double loss[2];
  double evaluated[2];
  std::int64_t limbs[ops::ExactSum::num_limbs];
  ops::DeviceStep<Step> update;
  LossScaler<Plan> scaler;
  std::int64_t steps;
  float seed;
  std::int32_t bad_average;
  Outcome outcome;
};

/// Clears the sums of a step and computes what the loss multiplies its gradient with.
template <class Plan> struct BeginStep {
  static constexpr int threads = 96;
  struct Shared {};
  CudaState<Plan>* state;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    static_assert(ops::ExactSum::num_limbs <= threads);
    const int i = block.thread();
    if (i < 2) state->loss[i] = 0;
    if (i < ops::ExactSum::num_limbs) state->limbs[i] = 0;
    if (i == 0) state->seed = state->scaler.seed();
    if (i == 0) state->bad_average = 0;
  }
};

/// Draws the conclusion from the reduced sums and prepares what the optimizer's kernels read.
template <class Plan> struct ConcludeStep {
  static constexpr int threads = 32;
  struct Shared {};
  CudaState<Plan>* state;
  Options<typename Plan::slots> options;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    if (block.thread() != 0) return;
    CudaState<Plan>& s = *state;
    Outcome& o = s.outcome;
    s.update.skip = 1;
    if (o.halted != 0) return;
    double squares = 0;
    if constexpr (Plan::needs_norm) {
      ops::ExactSum sum;
      for (int i = 0; i < ops::ExactSum::num_limbs; ++i) sum.limbs()[i] = s.limbs[i];
      squares = sum.value();
    }
    o.conclusion = conclude<Plan>(LossSum{s.loss[0], s.loss[1]}, squares, s.scaler, options,
                                  s.steps, s.bad_average == 0);
    const Conclusion& c = o.conclusion;
    if (c.empty || c.broken || o.fault.kind != cuda::Fault::none) {
      o.halted = 1;
      return;
    }
    s.scaler.after_step(c.report.skipped);
    s.steps = c.report.step;
    if (!c.applies) return;
    using Optimizer = typename Plan::slots::optimizer;
    s.update.step =
        Optimizer::template prepare<typename Plan::gradient>(c.update, options.optimizer);
    s.update.number = c.update.step;
    s.update.skip = 0;
  }
};

/// The same sums as on the host, in the GPU's memory.
template <class Plan> class Totals<Plan, Cuda> {
 public:
  using State = CudaState<Plan>;
  template <class Machine>
  explicit Totals(Machine& machine) : state_(reinterpret_cast<State*>(machine.state())) {
    static_assert(sizeof(State) <= state_bytes<Cuda>);
    machine.report_to(loss_words(), &state_->outcome.fault);
  }
  State* state() const { return state_; }
  double* loss_words() const { return state_->loss; }
  double* evaluated_words() const { return state_->evaluated; }
  std::int64_t* limbs() const { return state_->limbs; }

 private:
  State* state_;
};

}  // namespace cohort::detail
