// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/optim/shard.hpp: what an optimizer updates: one flat range of this rank.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cohort/core/params.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort {

/// A borrowed flat range, whole chunks of 64. Moments lie moment_stride elements
/// apart: the size of the rank's whole shard, of which this range may be a part; 0 says it is all.
template <class T> struct Shard {
  using Wide = accumulator_t<T>;
  T* params = nullptr;
  const Wide* grads = nullptr;  // sums over the global batch, not yet divided
  Wide* moments = nullptr;
  const std::uint8_t* decays = nullptr;  // one flag a chunk
  std::size_t size = 0;
  std::size_t moment_stride = 0;

  Wide* moment(int i) const { return moments + static_cast<std::size_t>(i) * stride(); }
  std::size_t stride() const { return moment_stride > 0 ? moment_stride : size; }
  /// The n elements from `at` on, whole chunks, with parameters at p.
  template <class U> Shard<U> piece(std::size_t at, std::size_t n, U* p) const {
    return {p, grads + at, moments + at, decays + at / chunk, n, stride()};
  }
};

/// What changes from step to step. The gradient that counts is grads * grad_scale.
struct UpdateStep {
  std::int64_t step = 1;  // the first is 1
  double learning_rate = 0;
  double grad_scale = 1;
};

}  // namespace cohort
