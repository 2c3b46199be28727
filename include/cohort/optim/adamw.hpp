// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/optim/adamw.hpp: Adam with decoupled weight decay, one pass over the flat shard.
#pragma once
#include <cohort/core/host_device.hpp>
#include <cohort/ops/adamw.hpp>
#include <cohort/ops/device_step.hpp>
#include <cohort/optim/shard.hpp>

namespace cohort::optim {

/// torch.optim.AdamW. Weight decay applies to parameters whose Param says so (two and more
/// dimensions by default).
///
/// Shapes   two moments of the shard's size.
/// Cost     28 bytes an element in fp32.
/// Source   Loshchilov and Hutter 2019, arXiv:1711.05101.
struct AdamW {
  using slot = slots::optimizer;
  /// `.optimizer` of a run's options.
  struct Options {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
  };
  static constexpr int moments = 2;
  static constexpr const char* moment_names[] = {"exp_avg", "exp_avg_sq"};

  template <class T> using Step = ops::AdamStep<accumulator_t<T>>;
  template <class T> COHORT_HOST_DEVICE static Step<T> prepare(UpdateStep now, const Options& o) {
    return Step<T>::make({now.learning_rate, o.beta1, o.beta2, o.epsilon, o.weight_decay}, now.step,
                         now.grad_scale);
  }
  template <class D, class T>
  static void update(const D& device, const Shard<T>& s, UpdateStep now, const Options& o) {
    ops::adamw(device, s.size, s.params, s.grads, s.moment(0), s.moment(1), s.decays,
               prepare<T>(now, o));
  }
  /// On a GPU `step` is in its memory, and `copies` (or nullptr) are written in the same pass.
  template <class T, class C, class Rounding>
  static void update(const Cuda& device, const Shard<T>& s, const ops::DeviceStep<Step<T>>* step,
                     C* copies, const Rounding& rounding) {
    ops::adamw(device, s.size, s.params, s.grads, s.moment(0), s.moment(1), s.decays, step, copies,
               rounding);
  }
};

static_assert(Policy<AdamW>);

}  // namespace cohort::optim
