// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/optim/warmup_cosine.hpp: learning rates as functions of the optimizer step.
#pragma once
#include <cmath>
#include <cohort/concepts/policy.hpp>
#include <cohort/core/host_device.hpp>
#include <cstdint>

namespace cohort::optim {

/// Linear warm-up to the learning rate, then a half cosine down to min_learning_rate at
/// total_steps.
///
/// Units    steps are optimizer steps of the whole world, counted from 1; they do not scale with
///          ranks. warmup_steps wins over warmup_ratio (a share of total_steps) when above zero.
/// Laws     step 1 has learning_rate / (warmup + 1), the step after the warm-up the full one: as
///          nanoGPT.
/// Source   Loshchilov and Hutter 2017, arXiv:1608.03983.
struct WarmupCosine {
  using slot = slots::schedule;
  /// `.schedule` of a run's options.
  struct Options {
    std::int32_t warmup_steps = 0, total_steps = 0;
    double warmup_ratio = 0.0, min_learning_rate = 0.0;
  };
  /// What is wrong with these options; nullptr: nothing. Run::on asks.
  static const char* refusal(const Options& o) {
    if (o.total_steps > 0) return nullptr;
    return "options.schedule.total_steps must say how many steps the cosine takes, e.g. .schedule "
           "= {.warmup_steps = 100, .total_steps = 2000}: without it the learning rate would be "
           "min_learning_rate from the end of the warm-up on.";
  }
  COHORT_HOST_DEVICE static double at(std::int64_t step, double learning_rate, const Options& o) {
    const double done = static_cast<double>(step - 1);
    const double warmup =
        o.warmup_steps > 0 ? o.warmup_steps : std::floor(o.warmup_ratio * o.total_steps);
    if (done < warmup) return learning_rate * (done + 1) / (warmup + 1);
    if (done >= o.total_steps) return o.min_learning_rate;
    const double share = (done - warmup) / (o.total_steps - warmup);
    const double cosine = 0.5 * (1.0 + std::cos(3.14159265358979323846 * share));
    return o.min_learning_rate + cosine * (learning_rate - o.min_learning_rate);
  }
};

/// The default: the learning rate of the options, at every step.
struct ConstantRate {
  using slot = slots::schedule;
  /// Nothing to set: a value for one of them does not compile, and the error says what to add.
  struct Options {
    Unset warmup_steps{}, total_steps{}, warmup_ratio{}, min_learning_rate{};
  };
  COHORT_HOST_DEVICE static double at(std::int64_t, double learning_rate, const Options&) {
    return learning_rate;
  }
};

static_assert(Policy<WarmupCosine> && Policy<ConstantRate>);

}  // namespace cohort::optim
