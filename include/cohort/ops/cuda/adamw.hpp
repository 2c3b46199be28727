// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/adamw.hpp: one AdamW update of a flat shard on a GPU, in one launch.
#pragma once
#include <cmath>
#include <cohort/ops/adamw.hpp>
#include <cohort/ops/cuda/update.hpp>

namespace cohort::ops {

namespace kernels {

/// The moments' part, which AdamW and Adam share: ops/adamw.hpp's adam_step for one element.
template <class A> COHORT_DEVICE inline A adam_change(const AdamStep<A>& s, A g, A& m, A& v) {
  m = fma(g - m, s.one_minus_beta1, m);
  v = fma(product(g, s.one_minus_beta2), g, product(v, s.beta2));
  return product(m, s.step_size) / fma(static_cast<A>(std::sqrt(v)), s.inverse_root, s.epsilon);
}

template <class A> struct AdamWRule {
  using Step = AdamStep<A>;
  COHORT_DEVICE static A update(const Step& s, bool decays, A p, A g, A& m, A& v) {
    const A change = adam_change(s, product(g, s.grad_scale), m, v);
    return fma(p, decays ? s.keep : A(1), -change);
  }
};

}  // namespace kernels

/// Cost     28 bytes an element: fp32 g, m, v, p read, m, v, p written; 2 more for 16-bit copies.
/// Laws     fp32: the operations of the CPU's body in its order, each rounded as there (division and root
///          are IEEE's): its bits.
template <class T, class D, class C, class Rounding>
void adamw(const Cuda& device, std::size_t n, T* p, const D* g, D* m, D* v,
           const std::uint8_t* decay, const DeviceStep<AdamStep<accumulator_t<T>>>* step, C* copies,
           Rounding rounding) {
  kernels::update<kernels::AdamWRule<accumulator_t<T>>>(device, n, p, g, m, v, decay, step, copies,
                                                        rounding);
}

}  // namespace cohort::ops
