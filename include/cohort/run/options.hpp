// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/options.hpp: what is chosen when a run is made, not when it is compiled.
#pragma once
#include <cohort/device/cpu_stream.hpp>
#include <cohort/ops/loss_sum.hpp>
#include <cstdint>

namespace cohort {

/// Options of a run; each policy adds its own under the name of its slot, so nothing can be set
/// that no policy reads: {.seed = 1337, .batch = 12, .tokens = 64, .optimizer = {.beta2 = 0.99}}.
template <class Slots> struct Options {
  std::uint64_t seed = 0;  // of parameters, of what layers draw, of random rounding
  int batch = 0;           // this rank's samples in one optimizer step, at most
  int tokens = 1;          // rows a sample, at most
  double learning_rate = 1e-3;
  typename Slots::optimizer::Options optimizer{};
  typename Slots::schedule::Options schedule{};
  typename Slots::clipping::Options clip{};
  StreamMode stream = StreamMode::automatic;
};

/// What one step did; the same numbers on every rank.
struct StepReport {
  std::int64_t step = 0;        // optimizer steps done, this one included
  double loss = 0;              // mean over the global batch
  double weight = 0;            // rows (or elements) that the mean is over
  double grad_norm = 0;         // of the mean gradient before clipping; 0 when no policy needs it
  double clip_coefficient = 1;  // what the gradient was multiplied by
  double learning_rate = 0;
  double loss_scale = 1;  // that this step's gradients carried (DynamicLossScale)
  bool skipped =
      false;  // they overflowed: nothing was updated, and step is the number of updates done
};

using ops::LossSum;

}  // namespace cohort
