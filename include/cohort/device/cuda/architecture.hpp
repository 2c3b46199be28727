// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/architecture.hpp: what the GPUs that a program is compiled for can multiply.
#pragma once
#include <cohort/core/float16.hpp>
#include <initializer_list>
#include <type_traits>

namespace cohort::cuda {

namespace detail {
#if defined(__CUDA_ARCH_LIST__)
consteval int newest_architecture() {
  int newest = 0;
  for (const int architecture : {__CUDA_ARCH_LIST__})
    newest = architecture > newest ? architecture : newest;
  return newest;
}
#else
consteval int newest_architecture() { return 900; }
#endif
}  // namespace detail

/// One of the architectures that this program is compiled for can multiply matrices of T. A program for
/// several, some older, compiles; there ops/cuda/*.hpp refuse bf16 when they are called.
template <class T>
concept TensorCoreType = std::is_same_v<T, fp16> ||
    (std::is_same_v<T, bf16>&& detail::newest_architecture() >= 800);

namespace detail {
template <class T> constexpr bool says_tensor_core_type() {
  static_assert(TensorCoreType<T>,
                "cohort: bf16 needs sm_80 or newer. Use MixedPrecision<fp16, fp32> with "
                "DynamicLossScale on sm_75, or add a newer architecture to "
                "CMAKE_CUDA_ARCHITECTURES. [cohort/device/cuda/architecture.hpp]");
  return true;
}
}  // namespace detail

}  // namespace cohort::cuda
