// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/sgd.hpp: one step of gradient descent with momentum on a GPU, in one launch.
#pragma once
#include <cohort/ops/cuda/update.hpp>
#include <cohort/ops/sgd.hpp>

namespace cohort::ops {

namespace kernels {
/// Without a buffer momentum is 0, and buffer = direction.
template <class A> struct SgdRule {
  using Step = SgdStep<A>;
  COHORT_DEVICE static A update(const Step& s, bool decays, A p, A g, A& b, A&) {
    const A slope = fma(g, s.grad_scale, product(p, decays ? s.weight_decay : A(0)));
    b = fma(b, s.momentum, slope);
    const A direction = s.nesterov ? fma(b, s.momentum, slope) : b;
    return fma(direction, -s.learning_rate, p);
  }
};
}  // namespace kernels

/// Cost     20 bytes an element of fp32 with a momentum buffer, 12 without; 2 more for 16-bit copies.
/// Laws     as adamw.
template <class T, class D, class C, class Rounding>
void sgd(const Cuda& device, std::size_t n, T* p, const D* g, D* b, const std::uint8_t* decay,
         const DeviceStep<SgdStep<accumulator_t<T>>>* step, C* copies, Rounding rounding) {
  kernels::update<kernels::SgdRule<accumulator_t<T>>>(device, n, p, g, b, static_cast<D*>(nullptr),
                                                      decay, step, copies, rounding);
}

}  // namespace cohort::ops
