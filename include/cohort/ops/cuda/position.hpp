// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/position.hpp: learned positions added on a GPU, and their gradient.
#pragma once
#include <cohort/ops/cuda/reduce.hpp>
#include <cohort/ops/position.hpp>
#include <cstddef>

namespace cohort::ops {

namespace kernels {

/// A thread adds its pack of w to that of four samples.
template <int C, class T> struct PositionForward {
  static constexpr int threads = 256, N = pack_size<C, T>(), together = 4;
  struct Shared {};
  int samples, blocks_of_sample;
  std::size_t of_sample;  // elements
  const T *x, *w;
  T* y;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int part = block.index() % blocks_of_sample * threads + block.thread();
    const std::size_t i = static_cast<std::size_t>(part) * N;
    if (i >= of_sample) return;
    const int first = block.index() / blocks_of_sample * together;
    const auto at = [&](int s) { return static_cast<std::size_t>(s) * of_sample + i; };
    const auto added = widen(load<N>(w + i));
    Pack<T, N> packs[together] = {};
    unrolled<together>([&](auto k) {
      if (first + k < samples) packs[k] = load<N>(x + at(first + k));
    });
    unrolled<together>([&](auto k) {
      if (first + k >= samples) return;
      auto sum = widen(packs[k]);
      unrolled<N>([&](auto e) { sum[e] += added[e]; });
      store(y + at(first + k), narrow<T>(sum));
    });
  }
};

/// A pack of dw a thread, which goes through the samples with four packs of dy in flight.
template <int C, class T, class D> struct PositionBackward {
  using A = accumulator_t<D>;
  static constexpr int threads = 128, N = pack_size<C, T, D>(), together = 4;
  struct Shared {};
  int samples;
  std::size_t n, of_sample;  // elements of dw and of a sample
  const T* dy;
  D* dw;
  bool first;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t i = (static_cast<std::size_t>(block.index()) * threads +
                           static_cast<std::size_t>(block.thread())) *
                          N;
    if (i >= n || (i >= of_sample && !first)) return;
    Pack<A, N> sum{};
    if (!first) sum = widen(load<N>(static_cast<const D*>(dw) + i));
    const auto add = [&](const Pack<T, N>& pack) {
      const auto wide = widen(pack);
      unrolled<N>([&](auto e) { sum[e] += wide[e]; });
    };
    const auto at = [&](int s) {
      return load<N>(dy + static_cast<std::size_t>(s) * of_sample + i);
    };
    int s = i < of_sample ? 0 : samples;  // beyond the tokens there is nothing to add
    for (; s + together <= samples; s += together) {
      Pack<T, N> packs[together];
      unrolled<together>([&](auto k) { packs[k] = at(s + k); });
      unrolled<together>([&](auto k) { add(packs[k]); });
    }
    for (; s < samples; ++s) add(at(s));
    store(dw + i, narrow<D>(sum));
  }
};

}  // namespace kernels

/// Cost     4 C bytes a row in 16 bits; w is read once for four samples, from L2.
template <int C, class T>
void position_forward(const Cuda& device, int samples, int tokens, const T* x, const T* w, T* y) {
  using K = kernels::PositionForward<C, T>;
  const std::size_t of_sample = static_cast<std::size_t>(tokens) * C;
  const auto blocks =
      static_cast<int>(kernels::ceil_div(of_sample, std::size_t{K::threads} * K::N));
  cohort::cuda::launch(device, blocks * kernels::ceil_div(samples, K::together),
                       K{samples, blocks, of_sample, x, w, y});
}

/// Cost     2 C bytes a row in 16 bits, and dw once.
/// Laws     for dw of fp32 or fp64 the CPU's bits.
template <int MaxTokens, int C, class T, class D>
void position_backward(const Cuda& device, int samples, int tokens, const T* dy, D* dw,
                       bool first) {
  using K = kernels::PositionBackward<C, T, D>;
  const std::size_t n = static_cast<std::size_t>(MaxTokens) * C;
  const std::size_t blocks = kernels::ceil_div(n, std::size_t{K::threads} * K::N);
  cohort::cuda::launch(device, static_cast<int>(blocks),
                       K{samples, n, static_cast<std::size_t>(tokens) * C, dy, dw, first});
}

}  // namespace cohort::ops
