// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/descriptors.hpp: how cuBLASLt's opaque descriptors are read and written.
#pragma once
#include <atomic>
#include <cstring>
#include <support/cuda_double/product.hpp>
#include <support/cuda_double/state.hpp>

namespace cohort::cuda_double {

inline std::atomic<int> live_blas{0};

/// What is inside cublasLtMatmulPreferenceOpaque_t.
struct Preference {
  std::uint64_t workspace_bytes;
  std::uint32_t search_mode, reductions, align_a, align_b, align_c, align_d;
};
static_assert(sizeof(Preference) <= sizeof(cublasLtMatmulPreferenceOpaque_t));

inline cublasStatus_t status_of(int error) {
  return error == cudaErrorLaunchFailure || error == cudaErrorNotPermitted
             ? CUBLAS_STATUS_EXECUTION_FAILED
             : static_cast<cublasStatus_t>(error);
}
#define COHORT_DOUBLE_ENTER_BLAS() \
  if (const int error_ = entered(__func__)) return status_of(error_)

template <class T, class Opaque> T get(const Opaque* opaque) {
  T value;
  std::memcpy(&value, opaque, sizeof value);
  return value;
}
template <class T, class Opaque> void put(Opaque* opaque, const T& value) {
  std::memcpy(opaque, &value, sizeof value);
}
/// Changes one member of what is inside a descriptor; its size must be the documented one.
template <class T, class Opaque, class M>
cublasStatus_t set(Opaque* opaque, M T::*member, const void* value, std::size_t bytes) {
  if (opaque == nullptr || value == nullptr || bytes != sizeof(M))
    return CUBLAS_STATUS_INVALID_VALUE;
  T all = get<T>(opaque);
  std::memcpy(&(all.*member), value, sizeof(M));
  put(opaque, all);
  return CUBLAS_STATUS_SUCCESS;
}
template <class Opaque> cublasStatus_t make(Opaque** opaque) {
  if (opaque == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *opaque = new Opaque{};
  ++live_blas;
  return CUBLAS_STATUS_SUCCESS;
}
template <class Opaque> cublasStatus_t unmake(Opaque* opaque) {
  if (opaque != nullptr) --live_blas;
  delete opaque;
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace cohort::cuda_double
