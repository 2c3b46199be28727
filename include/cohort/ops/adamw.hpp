// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/adamw.hpp: one AdamW update of a flat shard, in one pass.
#pragma once
#include <cmath>
#include <cohort/core/dtype.hpp>
#include <cohort/core/host_device.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/device_step.hpp>
#include <cohort/ops/math.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort::ops {

/// Elements that share one decay flag; parameters and shards are whole chunks.
inline constexpr int decay_chunk = 64;

/// Hyperparameters of Adam and AdamW as users state them.
struct AdamOptions {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
};

/// One step's constants in the type of the arithmetic; computed in fp64, as PyTorch does in Python.
template <class A> struct AdamStep {
  A grad_scale;  // folded into the gradient: 1 / weight, clipping, loss scale
  A keep;        // 1 - learning_rate * weight_decay (AdamW)
  A decay;       // weight_decay (Adam)
  A one_minus_beta1, beta2, one_minus_beta2;
  A step_size;     // learning_rate / (1 - beta1^step)
  A inverse_root;  // 1 / sqrt(1 - beta2^step)
  A epsilon;

  /// step counts from 1.
  COHORT_HOST_DEVICE static AdamStep make(const AdamOptions& o, std::int64_t step,
                                          double grad_scale = 1.0) {
    const double t = static_cast<double>(step);
    return {A(grad_scale),
            A(std::fma(-o.learning_rate, o.weight_decay, 1.0)),
            A(o.weight_decay),
            A(1 - o.beta1),
            A(o.beta2),
            A(1 - o.beta2),
            A(o.learning_rate / (1 - std::pow(o.beta1, t))),
            A(1 / std::sqrt(1 - std::pow(o.beta2, t))),
            A(o.epsilon)};
  }
};

namespace detail {

/// m = lerp(m, g, 1 - beta1); v = beta2 v + (1 - beta2) g^2. Returns what is subtracted from p:
/// step_size m / (sqrt(v) / root + epsilon).
template <class A>
[[gnu::always_inline]] inline Vec<A> adam_step(const AdamStep<A>& s, Vec<A> g, Vec<A>& m,
                                               Vec<A>& v) {
  m = fma(g - m, s.one_minus_beta1, m);
  v = fma(g * s.one_minus_beta2, g, v * s.beta2);
  return (m * s.step_size) / fma(square_root<A>(v), s.inverse_root, broadcast(s.epsilon));
}

/// update(i, flag, count) for the vectors of p[n]; flag is that of the vector's chunk.
template <class A, class F>
[[gnu::always_inline]] inline void for_chunks(std::size_t n, const std::uint8_t* decay, F update) {
  constexpr std::size_t step = lanes<A>;
  static_assert(decay_chunk % lanes<A> == 0);
  std::size_t i = 0;
  for (; i + decay_chunk <= n; i += decay_chunk)
    for (std::size_t j = 0; j < decay_chunk; j += step)
      update(i + j, decay[i / decay_chunk] != 0, static_cast<int>(step));
  for (; i < n; i += step)
    update(i, decay[i / decay_chunk] != 0, static_cast<int>(n - i < step ? n - i : step));
}

}  // namespace detail

/// torch.optim.AdamW's update (decoupled decay), element by element, in its order of operations.
///
/// Shapes   p, g, m, v [n]; decay[ceil(n / 64)]: 1 where weight decay applies to the chunk.
///          p, m, v in the master type; m and v start at zero.
/// Laws     elements do not meet: any split of [0, n) at multiples of 64 gives the same bits.
/// Cost     28 bytes an element in fp32; nothing else is read.
/// Source   Loshchilov and Hutter 2019, arXiv:1711.05101.
template <class G, class T, class D>
void adamw(const Cpu<G>&, std::size_t n, T* p, const D* g, T* m, T* v, const std::uint8_t* decay,
           const AdamStep<accumulator_t<T>>& s) {
  using A = accumulator_t<T>;
  detail::for_chunks<A>(n, decay, [&](std::size_t i, bool decays, int count) {
    const A keep = decays ? s.keep : A(1);
    Vec<A> vm = load_up_to(m + i, count), vv = load_up_to(v + i, count);
    const Vec<A> change = detail::adam_step<A>(s, load_up_to(g + i, count) * s.grad_scale, vm, vv);
    store_up_to(p + i, fma(load_up_to(p + i, count), keep, -change), count);
    store_up_to(m + i, vm, count);
    store_up_to(v + i, vv, count);
  });
}

// The same on a GPU: ops/cuda/adamw.hpp. The step is read from device memory. p of 16 bits (no masters) is
// widened, updated and rounded; `copies`, unless nullptr, get p rounded to C.
template <class T, class D, class C = bf16, class Rounding = NearestRounding>
void adamw(const Cuda&, std::size_t n, T* p, const D* g, D* m, D* v, const std::uint8_t* decay,
           const DeviceStep<AdamStep<accumulator_t<T>>>* step, C* copies = nullptr,
           Rounding rounding = {});

}  // namespace cohort::ops
