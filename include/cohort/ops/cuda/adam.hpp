// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/adam.hpp: one Adam update of a flat shard on a GPU, in one launch.
#pragma once
#include <cohort/ops/adam.hpp>
#include <cohort/ops/cuda/adamw.hpp>

namespace cohort::ops {

namespace kernels {
template <class A> struct AdamRule {
  using Step = AdamStep<A>;
  COHORT_DEVICE static A update(const Step& s, bool decays, A p, A g, A& m, A& v) {
    const A slope = fma(g, s.grad_scale, product(p, decays ? s.decay : A(0)));
    return p - adam_change(s, slope, m, v);
  }
};
}  // namespace kernels

/// Cost     as adamw.
/// Laws     as adamw.
template <class T, class D, class C, class Rounding>
void adam(const Cuda& device, std::size_t n, T* p, const D* g, D* m, D* v,
          const std::uint8_t* decay, const DeviceStep<AdamStep<accumulator_t<T>>>* step, C* copies,
          Rounding rounding) {
  kernels::update<kernels::AdamRule<accumulator_t<T>>>(device, n, p, g, m, v, decay, step, copies,
                                                       rounding);
}

}  // namespace cohort::ops
