// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/fault.hpp: how kernels say that their data is wrong, and what they go on with.
#pragma once
#include <cohort/device/cuda/launch.hpp>
#include <cstdint>

namespace cohort::ops::kernels {

/// Writes what is wrong unless something was written before; where is nullptr nothing is written.
template <class Block>
COHORT_DEVICE inline void report(const Block& block, cohort::cuda::Fault* where,
                                 cohort::cuda::Fault::Kind kind, int row, int value) {
  if (where == nullptr) return;
  if (block.atomic_exchange_if(&where->kind, cohort::cuda::Fault::none, kind) !=
      cohort::cuda::Fault::none)
    return;
  where->row = row;
  where->value = value;
}

/// An id of [0, count), or 0 in place of any other: nothing is read or written outside a table.
COHORT_HOST_DEVICE constexpr std::int32_t clamped(std::int32_t id, int count) {
  return static_cast<std::uint32_t>(id) < static_cast<std::uint32_t>(count) ? id : 0;
}

}  // namespace cohort::ops::kernels
