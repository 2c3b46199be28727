// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/swiglu.hpp: silu as the gate of a product, on a GPU.
#pragma once
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/cuda/math.hpp>
#include <cohort/ops/swiglu.hpp>

namespace cohort::ops {

namespace kernels {

/// A pack of y a thread.
template <int C, class T> struct SwiGluForward {
  static constexpr int threads = 256, N = pack_size<C, T>();
  static constexpr std::size_t tile = std::size_t{threads} * N;
  struct Shared {};
  std::size_t n;  // elements of y
  const T* x;
  T* y;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t i = (static_cast<std::size_t>(block.index()) * threads +
                           static_cast<std::size_t>(block.thread())) *
                          N;
    if (i >= n) return;
    const std::size_t at = i + i / C * C;  // of the gate: rows of x are twice as long
    const auto gate = widen(load<N>(x + at)), up = widen(load<N>(x + at + C));
    auto product = gate;
    unrolled<N>([&](auto k) { product[k] = Silu::value(gate[k], GpuMaths{}) * up[k]; });
    store(y + i, narrow<T>(product));
  }
};

/// A pack of dy a thread, two of dx.
template <int C, class T> struct SwiGluBackward {
  static constexpr int threads = 256, N = pack_size<C, T>();
  static constexpr std::size_t tile = std::size_t{threads} * N;
  struct Shared {};
  std::size_t n;  // elements of dy
  const T *x, *dy;
  T* dx;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t i = (static_cast<std::size_t>(block.index()) * threads +
                           static_cast<std::size_t>(block.thread())) *
                          N;
    if (i >= n) return;
    const std::size_t at = i + i / C * C;
    auto gate = widen(load<N>(x + at)), up = widen(load<N>(x + at + C));
    const auto d = widen(load<N>(dy + i));
    unrolled<N>([&](auto k) {
      const auto both = Silu::both(gate[k], GpuMaths{});
      gate[k] = (d[k] * up[k]) * both.slope;
      up[k] = d[k] * both.value;
    });
    store_whole(dx + at, narrow<T>(gate));
    store_whole(dx + at + C, narrow<T>(up));
  }
};

}  // namespace kernels

/// Cost     6 bytes an element of y in 16 bits: two reads, one write.
template <int C, class T> void swiglu_forward(const Cuda& device, int rows, const T* x, T* y) {
  kernels::launch_tiles(device,
                        kernels::SwiGluForward<C, T>{static_cast<std::size_t>(rows) * C, x, y});
}

/// Cost     10 bytes an element of dy in 16 bits: three reads, two writes.
template <int C, class T>
void swiglu_backward(const Cuda& device, int rows, const T* x, const T* dy, T* dx) {
  kernels::launch_tiles(
      device, kernels::SwiGluBackward<C, T>{static_cast<std::size_t>(rows) * C, x, dy, dx});
}

}  // namespace cohort::ops
