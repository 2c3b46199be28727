// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/optim/sgd.hpp: stochastic gradient descent with momentum.
#pragma once
#include <cohort/ops/sgd.hpp>
#include <cohort/optim/shard.hpp>

namespace cohort::optim {

/// torch.optim.SGD with dampening 0; `Sgd`, or `NesterovSgd` for Nesterov's variant. The momentum
/// buffer is always there: its bytes are the plan's.
///
/// Shapes   one moment of the shard's size.
template <bool Nesterov> struct BasicSgd {
  using slot = slots::optimizer;
  struct Options {
    double momentum = 0.0, weight_decay = 0.0;
  };
  static constexpr int moments = 1;

  template <class D, class T>
  static void update(const D& device, const Shard<T>& s, UpdateStep now, const Options& o) {
    using A = accumulator_t<T>;
    ops::sgd(device, s.size, s.params, s.grads, s.moment(0), s.decays,
             ops::SgdStep<A>{A(now.grad_scale), A(now.learning_rate), A(o.momentum),
                             A(o.weight_decay), Nesterov});
  }
};
using Sgd = BasicSgd<false>;
using NesterovSgd = BasicSgd<true>;

static_assert(Policy<Sgd> && Policy<NesterovSgd>);

}  // namespace cohort::optim
