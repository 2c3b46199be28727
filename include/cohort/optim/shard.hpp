// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/optim/shard.hpp: what an optimizer updates: one flat range of this rank.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort {

/// A borrowed flat range, whole chunks of 64. Moment i begins at moments + i * moment_stride.
template <class T> struct Shard {
  T* params = nullptr;
  const T* grads = nullptr;  // sums over the global batch, not yet divided
  T* moments = nullptr;
  const std::uint8_t* decays = nullptr;  // one flag a chunk
  std::size_t size = 0;
  std::size_t moment_stride = 0;
};

/// What changes from step to step. The gradient that counts is grads * grad_scale.
struct UpdateStep {
  std::int64_t step = 1;  // the first is 1
  double learning_rate = 0;
  double grad_scale = 1;
};

}  // namespace cohort
