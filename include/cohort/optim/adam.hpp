// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/optim/adam.hpp: Adam, with weight decay added to the gradient.
#pragma once
#include <cohort/ops/adam.hpp>
#include <cohort/optim/shard.hpp>

namespace cohort::optim {

/// torch.optim.Adam. Weight decay, when above zero, is L2 regularisation and passes through the
/// moments.
///
/// Shapes   two moments of the shard's size.
/// Source   Kingma and Ba 2015, arXiv:1412.6980.
struct Adam {
  using slot = slots::optimizer;
  struct Options {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.0;
  };
  static constexpr int moments = 2;

  template <class D, class T>
  static void update(const D& device, const Shard<T>& s, UpdateStep now, const Options& o) {
    const auto step = ops::AdamStep<accumulator_t<T>>::make(
        {now.learning_rate, o.beta1, o.beta2, o.epsilon, o.weight_decay}, now.step, now.grad_scale);
    ops::adam(device, s.size, s.params, s.grads, s.moment(0), s.moment(1), s.decays, step);
  }
};

static_assert(Policy<Adam>);

}  // namespace cohort::optim
