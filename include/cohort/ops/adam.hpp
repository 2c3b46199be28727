// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/adam.hpp: one Adam update of a flat shard, weight decay as part of the gradient.
#pragma once
#include <cohort/ops/adamw.hpp>

namespace cohort::ops {

/// torch.optim.Adam's update: like adamw, but weight_decay * p is added to the gradient.
///
/// Shapes   as adamw.
/// Laws     as adamw. Without decay the two give the same bits.
/// Source   Kingma and Ba 2015, arXiv:1412.6980.
template <class G, class T, class D>
void adam(const Cpu<G>&, std::size_t n, T* p, const D* g, T* m, T* v, const std::uint8_t* decay,
          const AdamStep<accumulator_t<T>>& s) {
  using A = accumulator_t<T>;
  detail::for_chunks<A>(n, decay, [&](std::size_t i, bool decays, int count) {
    const A weight_decay = decays ? s.decay : A(0);
    const Vec<A> vp = load_up_to(p + i, count), vg = load_up_to(g + i, count);
    Vec<A> vm = load_up_to(m + i, count), vv = load_up_to(v + i, count);
    const Vec<A> slope = fma(vg, s.grad_scale, vp * weight_decay);
    store_up_to(p + i, vp - detail::adam_step<A>(s, slope, vm, vv), count);
    store_up_to(m + i, vm, count);
    store_up_to(v + i, vv, count);
  });
}

// The same on a GPU: ops/cuda/adam.hpp. The step is read from device memory. p of 16 bits (no masters) is
// widened, updated and rounded; `copies`, unless nullptr, get p rounded to C.
template <class T, class D, class C = bf16, class Rounding = NearestRounding>
void adam(const Cuda&, std::size_t n, T* p, const D* g, D* m, D* v, const std::uint8_t* decay,
          const DeviceStep<AdamStep<accumulator_t<T>>>* step, C* copies = nullptr,
          Rounding rounding = {});

}  // namespace cohort::ops
