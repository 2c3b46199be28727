// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/bits.hpp: counting bits, on the host and on GPUs.
#pragma once
#include <bit>
#include <cohort/core/host_device.hpp>
#include <cstdint>
#include <type_traits>

namespace cohort {

// <bit> for code that GPUs run too. Of the standard's functions nvcc 13 compiles std::countr_zero,
// std::countr_one and, of 64 bits, std::countl_zero and std::popcount for a GPU without a word, and what
// they return there is a constant: libstdc++ makes them of builtins that nvcc has not.

/// How many bits lie above the highest that is set; 64 of 0.
COHORT_HOST_DEVICE constexpr int leading_zeros(std::uint64_t bits) {
#if defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) return __clzll(static_cast<long long>(bits));
#endif
  return std::countl_zero(bits);
}
/// How many bits are set.
COHORT_HOST_DEVICE constexpr int ones(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) return __popc(bits);
#endif
  return std::popcount(bits);
}
/// How many bits from the lowest on are set; 32 of ~0.
COHORT_HOST_DEVICE constexpr int trailing_ones(std::uint32_t bits) {
  return ones(bits & ~(bits + 1));
}

}  // namespace cohort
