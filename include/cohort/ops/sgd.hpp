// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/sgd.hpp: one step of gradient descent with momentum on a flat shard.
#pragma once
#include <cohort/ops/adamw.hpp>

namespace cohort::ops {

/// One step's constants. momentum = 0 needs no buffer: call sgd without one.
template <class A> struct SgdStep {
  A grad_scale = 1, learning_rate, momentum = 0, weight_decay = 0;
  bool nesterov = false;
};

/// torch.optim.SGD's update, dampening 0: g += decay p; b = momentum b + g; p -= lr (b, or with
/// Nesterov g + momentum b).
///
/// Shapes   p, g, momentum buffer b [n]; b starts at zero and may be nullptr when momentum is 0;
///          decay[ceil(n / 64)]: 1 where weight decay applies to the chunk.
/// Laws     any split of [0, n) at multiples of 64 gives the same bits.
/// Source   Sutskever et al. 2013, with PyTorch's placing of the learning rate.
template <class G, class T, class D>
void sgd(const Cpu<G>&, std::size_t n, T* p, const D* g, T* b, const std::uint8_t* decay,
         const SgdStep<accumulator_t<T>>& s) {
  using A = accumulator_t<T>;
  detail::for_chunks<A>(n, decay, [&](std::size_t i, bool decays, int count) {
    const A weight_decay = decays ? s.weight_decay : A(0);
    const Vec<A> vp = load_up_to(p + i, count);
    Vec<A> direction = fma(load_up_to(g + i, count), s.grad_scale, vp * weight_decay);
    if (b != nullptr) {
      const Vec<A> buffer = fma(load_up_to(b + i, count), s.momentum, direction);
      store_up_to(b + i, buffer, count);
      direction = s.nesterov ? fma(buffer, s.momentum, direction) : buffer;
    }
    store_up_to(p + i, fma(direction, -s.learning_rate, vp), count);
  });
}

// The same on a GPU: ops/cuda/sgd.hpp. The step is read from device memory. p of 16 bits (no masters) is
// widened, updated and rounded; `copies`, unless nullptr, get p rounded to C.
template <class T, class D, class C = bf16, class Rounding = NearestRounding>
void sgd(const Cuda&, std::size_t n, T* p, const D* g, D* b, const std::uint8_t* decay,
         const DeviceStep<SgdStep<accumulator_t<T>>>* step, C* copies = nullptr,
         Rounding rounding = {});

}  // namespace cohort::ops
