// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/activation.hpp: a function of single elements on a GPU, forward and backward.
#pragma once
#include <cohort/ops/activation.hpp>
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/cuda/math.hpp>

namespace cohort::ops {

namespace kernels {

/// y of x, and dx of x and dy.
template <class F> struct ActivationValue {
  template <class A> COHORT_DEVICE A operator()(A x) const { return F::value(x, GpuMaths{}); }
};
template <class F> struct ActivationChain {
  template <class A> COHORT_DEVICE A operator()(A x, A dy) const {
    return detail::chain<F>(x, dy, GpuMaths{});
  }
};

/// y[i] and slope[i] of x[i], a pack or a single element a thread.
template <int N, class F, class T> struct ActivationWithSlope {
  static constexpr int threads = 256;
  struct Shared {};
  std::size_t n;
  const T* x;
  T *y, *slope;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t i = (static_cast<std::size_t>(block.index()) * threads +
                           static_cast<std::size_t>(block.thread())) *
                          N;
    if (i + N <= n)
      run<N>(i);
    else
      for (std::size_t k = i; k < n; ++k) run<1>(k);
  }

 private:
  template <int M> COHORT_DEVICE void run(std::size_t i) const {
    const auto v = widen(load<M>(x + i));
    auto value = v, derivative = v;
    unrolled<M>([&](auto k) {
      const auto both = F::both(v[k], GpuMaths{});
      value[k] = both.value;
      derivative[k] = both.slope;
    });
    store(y + i, narrow<T>(value));
    store(slope + i, narrow<T>(derivative));
  }
};

}  // namespace kernels

/// Cost     4 bytes an element in 16 bits: one read, one write.
template <class F, class T>
void activation_forward(const Cuda& device, std::size_t n, const T* x, T* y) {
  kernels::map(device, n, kernels::ActivationValue<F>{}, y, x);
}

/// Cost     6 bytes an element in 16 bits: one read, two writes.
template <class F, class T>
void activation_forward(const Cuda& device, std::size_t n, const T* x, T* y, T* slope) {
  constexpr int N = kernels::pack_size<64, T>();
  const auto go = [&](auto size) {
    using K = kernels::ActivationWithSlope<size, F, T>;
    const std::size_t blocks = kernels::ceil_div(n, std::size_t{K::threads} * size);
    cohort::cuda::launch(device, static_cast<int>(blocks), K{n, x, y, slope});
  };
  if (kernels::aligned(16, x, y, slope))
    go(std::integral_constant<int, N>{});
  else
    go(std::integral_constant<int, 1>{});
}

/// Cost     6 bytes an element in 16 bits: two reads, one write.
template <class F, class T>
void activation_backward(const Cuda& device, std::size_t n, const T* x, const T* dy, T* dx) {
  kernels::map(device, n, kernels::ActivationChain<F>{}, dx, x, dy);
}

}  // namespace cohort::ops
