// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/loss_scaler.hpp: the factor that gradients carry from the loss to the update.
#pragma once
#include <cmath>
#include <cohort/core/host_device.hpp>
#include <cohort/policies/dynamic_loss_scale.hpp>

namespace cohort::detail {

/// The loss scale of a run and what else gradients are multiplied with: 2^-e, 2^e the power of two
/// nearest to `rows`, and what their reduction divides by. All powers of two, so they are exact; 1 each
/// where the plan does not scale.
template <class Plan> class LossScaler {
 public:
  using Scaling = typename Plan::slots::scaling;

  COHORT_HOST_DEVICE LossScaler() {}
  LossScaler(double rows, int divisor) {
    if constexpr (Plan::scales_loss) {
      state_ = Scaling::start;
      share_ = std::exp2(-std::round(std::log2(rows)));
      divisor_ = divisor;
    }
  }
  /// What the loss multiplies its gradient with.
  COHORT_HOST_DEVICE float seed() const { return static_cast<float>(state_.scale * share_); }
  /// What reduced gradients are multiplied with to be sums over the global batch.
  COHORT_HOST_DEVICE double unscale() const { return divisor_ / (state_.scale * share_); }

  COHORT_HOST_DEVICE LossScale state() const { return state_; }
  void set(LossScale state) { state_ = state; }
  COHORT_HOST_DEVICE void after_step(bool overflow) {
    if constexpr (Plan::scales_loss) state_ = Scaling::next(state_, overflow);
  }
  /// An overflow at a scale as small as this is none that a smaller scale would cure.
  COHORT_HOST_DEVICE bool exhausted() const {
    if constexpr (Plan::scales_loss)
      return state_.scale <= Scaling::least;
    else
      return true;
  }

 private:
  LossScale state_;
  double share_ = 1, divisor_ = 1;
};

}  // namespace cohort::detail
