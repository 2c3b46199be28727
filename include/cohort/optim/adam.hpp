// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/optim/adam.hpp: Adam, with weight decay added to the gradient.
#pragma once
#include <cohort/core/host_device.hpp>
#include <cohort/ops/adam.hpp>
#include <cohort/ops/device_step.hpp>
#include <cohort/optim/shard.hpp>

namespace cohort::optim {

/// torch.optim.Adam. Weight decay, when above zero, is L2 regularisation and passes through the
/// moments.
///
/// Shapes   two moments of the shard's size.
/// Source   Kingma and Ba 2015, arXiv:1412.6980.
struct Adam {
  using slot = slots::optimizer;
  /// `.optimizer` of a run's options.
  struct Options {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.0;
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
    ops::adam(device, s.size, s.params, s.grads, s.moment(0), s.moment(1), s.decays,
              prepare<T>(now, o));
  }
  /// On a GPU `step` is in its memory, and `copies` (or nullptr) are written in the same pass.
  template <class T, class C, class Rounding>
  static void update(const Cuda& device, const Shard<T>& s, const ops::DeviceStep<Step<T>>* step,
                     C* copies, const Rounding& rounding) {
    ops::adam(device, s.size, s.params, s.grads, s.moment(0), s.moment(1), s.decays, step, copies,
              rounding);
  }
};

static_assert(Policy<Adam>);

}  // namespace cohort::optim
