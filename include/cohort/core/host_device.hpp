// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/host_device.hpp: how functions say that GPUs may call them; nothing for other compilers.
#pragma once

#if defined(__CUDACC__)
#define COHORT_HOST_DEVICE __host__ __device__
#define COHORT_DEVICE __device__
#define COHORT_UNROLL _Pragma("unroll")  // arrays in registers need loops without a counter

// What nvcc compiles for the CPU is made of other vectors (ops/register.hpp) than what a C++ compiler does.
// With names of its own the linker does not mix the two where .cu and .cpp files meet in one program.
namespace cohort {
inline namespace by_nvcc {
namespace ops {}
struct DefaultGemm;
}  // namespace by_nvcc
}  // namespace cohort
#else
#define COHORT_HOST_DEVICE
#define COHORT_DEVICE
#define COHORT_UNROLL
#endif
