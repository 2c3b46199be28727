// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/rope.hpp: rotary positions on a GPU.
#pragma once
#include <cohort/ops/cuda/reduce.hpp>
#include <cohort/ops/rope.hpp>

namespace cohort::ops {

namespace kernels {

/// A thread turns the same pack of pairs of up to four heads of a row, which share their angles.
template <class H, class Angles, class T> struct Rope {
  static_assert(H::head_dim % 2 == 0);
  using A = accumulator_t<T>;
  static constexpr int threads = 256, pairs = H::head_dim / 2, N = pack_size<pairs, T>();
  static constexpr int heads = H::heads + H::kv_heads, each = 4;
  static constexpr int groups = ceil_div(heads, each), packs = pairs / N, of_row = groups * packs;
  struct Shared {};

  int rows, tokens;
  detail::Turns<Angles, pairs> turns;
  T* qkv;

  static int blocks(int rows) { return ceil_div(rows * of_row, threads); }
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int at = block.index() * threads + block.thread(), row = at / of_row;
    if (row >= rows) return;
    const int group = at % of_row / packs, pair = at % packs * N, token = row % tokens;
    T* x = qkv + std::ptrdiff_t{row} * H::row + group * H::head_dim + pair;
    constexpr std::ptrdiff_t next = groups * H::head_dim;
    Pack<T, N> a[each] = {}, b[each] = {};
    unrolled<each>([&](auto h) {
      if (group + h * groups >= heads) return;
      a[h] = load<N>(x + h * next);
      b[h] = load<N>(x + h * next + pairs);
    });
    A sin[N], cos[N];
    unrolled<N>([&](auto i) {
      const auto angle = detail::sin_cos_of_quarters<A>(token, turns.quarters[pair + i]);
      sin[i] = angle.sin, cos[i] = angle.cos;
    });
    unrolled<each>([&](auto h) {
      if (group + h * groups >= heads) return;
      auto first = widen(a[h]), second = widen(b[h]);
      unrolled<N>([&](auto i) {
        const A u = first[i], v = second[i];
        first[i] = std::fma(u, cos[i], -product(v, sin[i]));
        second[i] = std::fma(u, sin[i], product(v, cos[i]));
      });
      store(x + h * next, narrow<T>(first));
      store(x + h * next + pairs, narrow<T>(second));
    });
  }
};

template <class H, class Angles, class T>
void rotate(const Cuda& device, int samples, int tokens, bool back, T* qkv) {
  using K = Rope<H, Angles, T>;
  const int rows = samples * tokens;
  cuda::launch(device, K::blocks(rows),
               K{rows, tokens, detail::Turns<Angles, K::pairs>(back), qkv});
}

}  // namespace kernels

/// As on the CPU (ops/rope.hpp).
///
/// Cost     4 bytes an element of q and k in 16 bits: one read, one write.
template <class H, class Angles, class T>
void rope_forward(const Cuda& device, int samples, int tokens, T* qkv) {
  kernels::rotate<H, Angles>(device, samples, tokens, false, qkv);
}
/// Cost     as rope_forward.
template <class H, class Angles, class T>
void rope_backward(const Cuda& device, int samples, int tokens, T* dqkv) {
  kernels::rotate<H, Angles>(device, samples, tokens, true, dqkv);
}

}  // namespace cohort::ops
