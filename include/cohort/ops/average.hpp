// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/average.hpp: values that follow the average of what a step has summed up.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/non_finite.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort::ops {

/// Elements that follow at one rate.
inline constexpr std::size_t rate_chunk = 64;

/// Zeroes the sums of a step; behind them, at sums[n], stands this rank's number of samples.
template <class G, class D> void begin_average(const Cpu<G>&, std::size_t n, D* sums, D samples) {
  std::fill_n(sums, n, D(0));
  sums[n] = samples;
}

/// Are the sums, after all ranks' were added, numbers? One large input may overflow them.
template <class G, class D> bool averages_are_finite(const Cpu<G>&, std::size_t n, const D* sums) {
  return all_finite(sums, n);
}

/// p += rate (sums / samples - p), samples being sums[n]: a running average moves towards a new one.
///
/// Shapes   p[n], sums[n + 1], rates[ceil(n / 64)].
/// Laws     elements do not meet. At rate 1 the new average itself, but for one rounding.
template <class G, class D>
void average(const Cpu<G>&, std::size_t n, D* p, const D* sums, const D* rates) {
  const D samples = sums[n];
  for (std::size_t i = 0; i < n; ++i)
    p[i] = std::fma(rates[i / rate_chunk], sums[i] / samples - p[i], p[i]);
}

// The same on a GPU: ops/cuda/average.hpp. `skip`, in its memory: where it is not 0 nothing is written.
template <class D> void begin_average(const Cuda&, std::size_t n, D* sums, D samples);
/// *found = 1 where a sum is not finite, in the GPU's memory.
template <class D>
void find_non_finite_average(const Cuda&, std::size_t n, const D* sums, std::int32_t* found);
template <class D>
void average(const Cuda&, std::size_t n, D* p, const D* sums, const D* rates,
             const std::int32_t* skip);

}  // namespace cohort::ops
