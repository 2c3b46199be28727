// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/loss_sum.hpp: what a loss returns: a sum and the weight to divide it by.
#pragma once
#include <cohort/core/host_device.hpp>

namespace cohort::ops {

/// The loss summed over its terms, and their number (or weight). The mean is taken once, after both
/// are summed over micro-batches and ranks; a mean of means cannot be written by accident.
struct LossSum {
  double sum = 0;
  double weight = 0;
  constexpr LossSum& operator+=(LossSum other) {
    sum += other.sum;
    weight += other.weight;
    return *this;
  }
  /// NaN when nothing was counted.
  constexpr double mean() const { return sum / weight; }
};

/// What a loss on a GPU returns: its LossSum was added to (sum, weight) in the device's memory, where the
/// host reads it once a step.
struct LossOnDevice {};

}  // namespace cohort::ops
