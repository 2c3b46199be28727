// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/conclusion.hpp: what a step's sums over all ranks say: its report, and whether to update.
#pragma once
#include <cmath>
#include <cohort/core/host_device.hpp>
#include <cohort/ops/grad_norm.hpp>
#include <cohort/optim/shard.hpp>
#include <cohort/run/loss_scaler.hpp>
#include <cohort/run/options.hpp>

namespace cohort::detail {

/// Exactly one of: `applies`; report.skipped; `broken`, the loss, the norm or an average is not finite;
/// `empty`, no row has a weight.
struct Conclusion {
  StepReport report;
  UpdateStep update;
  double unscale = 1;  // what reduced gradients are multiplied with to be sums over the batch
  bool applies = false, broken = false, empty = false;
  bool bad_average = false;  // broken by what averaged parameters have summed up
};

/// Draws the conclusion of the step after `steps` updates. `squares`: of the reduced gradient, 0 where
/// the plan needs no norm. The same arithmetic on the host and on GPUs.
template <class Plan>
COHORT_HOST_DEVICE Conclusion conclude(LossSum total, double squares,
                                       const LossScaler<Plan>& scaler,
                                       const Options<typename Plan::slots>& options,
                                       std::int64_t steps, bool finite_averages = true) {
  using Slots = typename Plan::slots;
  Conclusion c;
  StepReport& r = c.report;
  r.step = steps;
  r.loss = total.mean();
  r.weight = total.weight;
  c.unscale = scaler.unscale();
  c.empty = total.weight == 0;
  if (c.empty) return c;
  double scale = c.unscale / total.weight;
  if constexpr (Plan::needs_norm) r.grad_norm = std::sqrt(squares) * c.unscale / total.weight;
  if constexpr (Slots::clipping::needs_norm) {
    r.clip_coefficient = ops::clip_coefficient(r.grad_norm, options.clip.max_norm);
    scale = r.clip_coefficient * c.unscale / total.weight;
  }
  if constexpr (Plan::scales_loss) {
    r.loss_scale = scaler.state().scale;
    r.skipped = !std::isfinite(r.grad_norm) && !scaler.exhausted();
  }
  if (r.skipped) return c;
  c.bad_average = !finite_averages && std::isfinite(r.loss) && std::isfinite(r.grad_norm);
  c.broken = !std::isfinite(r.loss) || !std::isfinite(r.grad_norm) || !finite_averages;
  r.step = steps + 1;
  if (c.broken) return c;
  c.applies = true;
  r.learning_rate = Slots::schedule::at(r.step, options.learning_rate, options.schedule);
  c.update = {r.step, r.learning_rate, scale};
  return c;
}

/// How to learn where a NaN came from, for those who did not ask.
inline constexpr const char* anomaly_hint =
    "DetectAnomaly in Trainer's list, on a CPU, names the rank, micro-batch and parameter where it "
    "began.";

/// What it means that loss and norm are fine.
inline constexpr const char* average_hint =
    "The running average of an Averaged parameter (nn::BatchNorm's statistics) would not be "
    "finite: a value of the batch is too large for a sum of its squares.";

/// `cause` is a sentence. The norm is 0 where no policy needs it.
[[noreturn]] inline void throw_non_finite(int rank, const StepReport& r, const std::string& cause) {
  const std::string norm = r.grad_norm == 0 ? "" : ", gradient norm " + std::to_string(r.grad_norm);
  throw NonFinite(rank, "step " + std::to_string(r.step),
                  "loss " + std::to_string(r.loss) + norm + ". " + cause +
                      " Parameters are as they were before this step; lower the learning rate, "
                      "clip, or check the data.");
}

/// Says on the host what a conclusion without an update means.
inline void check_conclusion(int rank, const Conclusion& c) {
  if (c.empty)
    throw InvalidInput(rank, "step",
                       "no row of the global batch has a weight: every label is ignored.");
  if (c.broken) throw_non_finite(rank, c.report, c.bad_average ? average_hint : anomaly_hint);
}

}  // namespace cohort::detail
