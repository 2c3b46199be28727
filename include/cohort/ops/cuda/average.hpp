// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/average.hpp: running averages on a GPU.
#pragma once
#include <cmath>
#include <cohort/ops/average.hpp>
#include <cohort/ops/cuda/reduce.hpp>

namespace cohort::ops {

namespace kernels {

/// sums[i] = 0 for i below n, sums[n] = samples.
template <class D> struct BeginAverage {
  static constexpr int threads = 256;
  struct Shared {};
  std::size_t n;
  D* sums;
  D samples;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t i = static_cast<std::size_t>(block.index()) * threads +
                          static_cast<std::size_t>(block.thread());
    if (i <= n) sums[i] = i < n ? D(0) : samples;
  }
};

template <class D> struct FindNonFinite {
  static constexpr int threads = 256;
  struct Shared {};
  std::size_t n;
  const D* sums;
  std::int32_t* found;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t i = static_cast<std::size_t>(block.index()) * threads +
                          static_cast<std::size_t>(block.thread());
    if (i < n && !std::isfinite(sums[i])) *found = 1;  // whoever finds one writes the same
  }
};

template <class D> struct Average {
  static constexpr int threads = 256;
  struct Shared {};
  std::size_t n;
  D* p;
  const D *sums, *rates;
  const std::int32_t* skip;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t i = static_cast<std::size_t>(block.index()) * threads +
                          static_cast<std::size_t>(block.thread());
    if (i >= n || *skip != 0) return;
    p[i] = fma(rates[i / rate_chunk], sums[i] / sums[n] - p[i], p[i]);
  }
};

}  // namespace kernels

/// Cost     one launch; a few thousand elements in most models.
template <class D> void begin_average(const Cuda& device, std::size_t n, D* sums, D samples) {
  using K = kernels::BeginAverage<D>;
  cohort::cuda::launch(device, static_cast<int>(kernels::ceil_div(n + 1, std::size_t{K::threads})),
                       K{n, sums, samples});
}

template <class D>
void find_non_finite_average(const Cuda& device, std::size_t n, const D* sums,
                             std::int32_t* found) {
  using K = kernels::FindNonFinite<D>;
  cohort::cuda::launch(device, static_cast<int>(kernels::ceil_div(n, std::size_t{K::threads})),
                       K{n, sums, found});
}

/// Laws     the CPU's bits.
template <class D>
void average(const Cuda& device, std::size_t n, D* p, const D* sums, const D* rates,
             const std::int32_t* skip) {
  using K = kernels::Average<D>;
  cohort::cuda::launch(device, static_cast<int>(kernels::ceil_div(n, std::size_t{K::threads})),
                       K{n, p, sums, rates, skip});
}

}  // namespace cohort::ops
