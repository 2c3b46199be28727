// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/optim/sgd.hpp: stochastic gradient descent with momentum.
#pragma once
#include <cohort/core/host_device.hpp>
#include <cohort/ops/device_step.hpp>
#include <cohort/ops/sgd.hpp>
#include <cohort/optim/shard.hpp>

namespace cohort::optim {

/// torch.optim.SGD with dampening 0; `Sgd`, or `NesterovSgd` for Nesterov's variant. The momentum
/// buffer is always there: its bytes are the plan's.
///
/// Shapes   one moment of the shard's size.
template <bool Nesterov> struct BasicSgd {
  using slot = slots::optimizer;
  /// `.optimizer` of a run's options.
  struct Options {
    double momentum = 0.0, weight_decay = 0.0;
  };
  static constexpr int moments = 1;
  static constexpr const char* moment_names[] = {"momentum_buffer"};

  template <class T> using Step = ops::SgdStep<accumulator_t<T>>;
  template <class T> COHORT_HOST_DEVICE static Step<T> prepare(UpdateStep now, const Options& o) {
    using A = accumulator_t<T>;
    return {A(now.grad_scale), A(now.learning_rate), A(o.momentum), A(o.weight_decay), Nesterov};
  }
  template <class D, class T>
  static void update(const D& device, const Shard<T>& s, UpdateStep now, const Options& o) {
    ops::sgd(device, s.size, s.params, s.grads, s.moment(0), s.decays, prepare<T>(now, o));
  }
  /// On a GPU `step` is in its memory, and `copies` (or nullptr) are written in the same pass.
  template <class T, class C, class Rounding>
  static void update(const Cuda& device, const Shard<T>& s, const ops::DeviceStep<Step<T>>* step,
                     C* copies, const Rounding& rounding) {
    ops::sgd(device, s.size, s.params, s.grads, s.moment(0), s.decays, step, copies, rounding);
  }
};
/// Momentum as torch.optim.SGD has it; without momentum, plain gradient descent.
using Sgd = BasicSgd<false>;
/// The same with nesterov=True.
using NesterovSgd = BasicSgd<true>;

static_assert(Policy<Sgd> && Policy<NesterovSgd>);

}  // namespace cohort::optim
