// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/elementwise.hpp: functions of single elements on a GPU: sums, scaling, filling.
#pragma once
#include <cohort/ops/cuda/reduce.hpp>
#include <cohort/ops/elementwise.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort::ops {

namespace kernels {

/// out[i] = f(x[i]) or f(x[i], y[i]) (Y other than void), in the accumulators' types, rounded once. A
/// thread has four packs in flight. `out` may be x or y.
template <int N, class F, class Out, class X, class Y> struct Map {
  static constexpr bool binary = !std::is_void_v<Y>;
  using Other = std::conditional_t<binary, Y, X>;
  using A = accumulator_t<Out>;
  static constexpr int threads = 256, packs = binary ? 2 : 4;
  static constexpr std::size_t step = std::size_t{threads} * N, tile = step * packs;
  struct Shared {};
  std::size_t n;
  F f;
  Out* out;
  const X* x;
  const Other* y;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const auto thread = static_cast<std::size_t>(block.thread());
    const std::size_t first = static_cast<std::size_t>(block.index()) * tile + thread * N;
    Pack<X, N> vx[packs] = {};
    Pack<Other, N> vy[packs] = {};
    unrolled<packs>([&](auto k) {
      const std::size_t i = first + k * step;
      if (i + N > n) return;
      vx[k] = load<N>(x + i);
      if constexpr (binary) vy[k] = load<N>(y + i);
    });
    unrolled<packs>([&](auto k) {
      const std::size_t i = first + k * step;
      if (i + N <= n) store(out + i, of(vx[k], vy[k]));
    });
    const std::size_t rest = n / N * N + thread;  // what is left of the last pack
    if (block.index() == block.count() - 1 && rest < n) {
      Pack<Other, 1> other{};
      if constexpr (binary) other = load<1>(y + rest);
      store(out + rest, of(load<1>(x + rest), other));
    }
  }

 private:
  template <int M>
  COHORT_DEVICE Pack<Out, M> of(const Pack<X, M>& vx, const Pack<Other, M>& vy) const {
    Pack<A, M> result;
    const auto wide_x = widen(vx);
    if constexpr (binary) {
      const auto wide_y = widen(vy);
      unrolled<M>([&](auto i) { result[i] = static_cast<A>(f(wide_x[i], wide_y[i])); });
    } else {
      unrolled<M>([&](auto i) { result[i] = static_cast<A>(f(wide_x[i])); });
    }
    return narrow<Out>(result);
  }
};

template <class... T> inline bool aligned(std::size_t bytes, const T*... p) {
  return ((reinterpret_cast<std::uintptr_t>(p) % bytes == 0) && ...);
}

template <class K> void launch_tiles(const Cuda& device, const K& kernel) {
  cohort::cuda::launch(device, static_cast<int>(ceil_div(kernel.n, K::tile)), kernel);
}

/// out[i] = f(x[i]) and out[i] = f(x[i], y[i]) for i < n; addresses that are not those of whole packs are
/// met element by element.
///
/// Cost     one read of each input, one write.
template <class F, class Out, class X>
void map(const Cuda& device, std::size_t n, F f, Out* out, const X* x) {
  constexpr int N = pack_size<64, Out, X>();
  if (aligned(16, out, x))
    launch_tiles(device, Map<N, F, Out, X, void>{n, f, out, x, nullptr});
  else
    launch_tiles(device, Map<1, F, Out, X, void>{n, f, out, x, nullptr});
}
template <class F, class Out, class X, class Y>
void map(const Cuda& device, std::size_t n, F f, Out* out, const X* x, const Y* y) {
  constexpr int N = pack_size<64, Out, X, Y>();
  if (aligned(16, out, x, y))
    launch_tiles(device, Map<N, F, Out, X, Y>{n, f, out, x, y});
  else
    launch_tiles(device, Map<1, F, Out, X, Y>{n, f, out, x, y});
}

struct Product {
  template <class A> COHORT_HOST_DEVICE constexpr A operator()(A a, A b) const { return a * b; }
};
template <class A> struct ScaledBy {
  A factor{};
  COHORT_HOST_DEVICE constexpr A operator()(A a) const { return a * factor; }
};
struct Same {
  template <class A> COHORT_HOST_DEVICE constexpr A operator()(A a) const { return a; }
};

/// Fill writes only: a pack a thread.
template <int N, class T> struct Fill {
  static constexpr int threads = 256;
  static constexpr std::size_t tile = std::size_t{threads} * N;
  struct Shared {};
  std::size_t n;
  T* a;
  T value;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t i = (static_cast<std::size_t>(block.index()) * threads +
                           static_cast<std::size_t>(block.thread())) *
                          N;
    Pack<T, N> pack;
    unrolled<N>([&](auto k) { pack[k] = value; });
    if (i + N <= n)
      store(a + i, pack);
    else if (i < n)
      cohort::cuda::store_first(a + i, pack, n - i);
  }
};

}  // namespace kernels

/// y = a + b.
template <class T> void add(const Cuda& device, std::size_t n, const T* a, const T* b, T* y) {
  kernels::map(device, n, kernels::Sum{}, y, a, b);
}

/// a += b; a may have another type.
template <class D, class T> void add_to(const Cuda& device, std::size_t n, D* a, const T* b) {
  kernels::map(device, n, kernels::Sum{}, a, static_cast<const D*>(a), b);
}

/// y = a b, element by element.
template <class T> void multiply(const Cuda& device, std::size_t n, const T* a, const T* b, T* y) {
  kernels::map(device, n, kernels::Product{}, y, a, b);
}

/// a = factor a.
template <class T> void scale(const Cuda& device, std::size_t n, T* a, accumulator_t<T> factor) {
  kernels::map(device, n, kernels::ScaledBy<accumulator_t<T>>{factor}, a, static_cast<const T*>(a));
}

/// Every element of a becomes value.
template <class T> void fill(const Cuda& device, std::size_t n, T* a, T value) {
  if (kernels::aligned(16, a))
    kernels::launch_tiles(device, kernels::Fill<kernels::pack_size<64, T>(), T>{n, a, value});
  else
    kernels::launch_tiles(device, kernels::Fill<1, T>{n, a, value});
}

/// y becomes a.
template <class T> void copy(const Cuda& device, std::size_t n, const T* a, T* y) {
  device.copy(y, a, n * sizeof(T));
}

}  // namespace cohort::ops
