// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/optim/adamw.hpp: Adam with decoupled weight decay, one pass over the flat shard.
#pragma once
#include <cohort/ops/adamw.hpp>
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
  struct Options {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
  };
  static constexpr int moments = 2;

  template <class D, class T>
  static void update(const D& device, const Shard<T>& s, UpdateStep now, const Options& o) {
    const auto step = ops::AdamStep<accumulator_t<T>>::make(
        {now.learning_rate, o.beta1, o.beta2, o.epsilon, o.weight_decay}, now.step, now.grad_scale);
    ops::adamw(device, s.size, s.params, s.grads, s.moment(0), s.moment(1), s.decays, step);
  }
};

static_assert(Policy<AdamW>);

}  // namespace cohort::optim
