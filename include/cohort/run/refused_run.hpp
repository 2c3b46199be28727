// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/refused_run.hpp: what stands in for the run of a list that does not compile.
#pragma once
#include <cohort/policies/chosen.hpp>
#include <cohort/run/execution.hpp>

namespace cohort::detail {

/// What a refused Trainer hands out, so that one mistake gives one sentence: the plan of a model of
/// one number, and a run that takes every call.
struct RefusedModel : RefusedLayer {
  using Params = cohort::Params<Param<"none", 1>>;
};
struct RefusedLoss {
  template <class Model, class T> static constexpr std::size_t gradient_bytes(Rows) { return 0; }
};
using RefusedPlan = Plan<RefusedModel, RefusedLoss, slots_of<ChosenPolicies<>>, DefaultCpu>;

struct RefusedRun {
  struct Values {
    constexpr Values(const auto&...) {}
    constexpr Values(const auto*, Rows) {}
  };
  static constexpr RefusedPlan plan{};
  TimedReport step(Values, Values) { return {}; }
  TimedReport step(const auto&) { return {}; }
  void enqueue(Values, Values) {}
  void enqueue(const auto&) {}
  TimedReport wait() { return {}; }
  LossSum evaluate(Values, Values) { return {}; }
  LossSum evaluate(const auto&) { return {}; }
  RefusedTensor predict(Values) { return {}; }
  std::vector<NamedTensor> gather_parameters(Receivers = {}) const { return {}; }
  std::vector<NamedTensor> gather_gradients(Receivers = {}) const { return {}; }
  void set_parameter(const std::string&, std::span<const float>) {}
  void save(const std::string&, const SaveOptions& = {}) {}
  void save_async(const std::string&, const SaveOptions& = {}) {}
  void wait_for_save() {}
  Loaded load(const std::string&, const LoadOptions& = {}) { return {}; }
  template <class O = FullOptions> void save_full(const std::string&, const O& = {}) {}
  template <class O = FullOptions> Loaded load_full(const std::string&, const O& = {}) {
    return {};
  }
  StepTimes times() const { return {}; }
  void forget_times() {}
  WorldTimes times_of_all_ranks() { return {}; }
  void write_trace(const std::string&, const TraceOptions& = {}) {}
  int rank() const { return 0; }
  int size() const { return 1; }
  std::int64_t steps_done() const { return 0; }
  LossScale loss_scale() const { return {}; }
  void set_loss_scale(LossScale) {}
  bool has_worker() const { return false; }
  MemoryBytes memory() const { return {}; }
  Sizes sizes() const { return {}; }
};

}  // namespace cohort::detail
