// expect-error: cohort: bf16 needs sm_80 or newer. Use MixedPrecision<fp16, fp32> with DynamicLossScale on sm_75
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/device/bf16_on_sm_75.cpp: a matrix product in bf16 (ops/cuda/cublaslt.hpp, device/cuda/mma.hpp ask so)
// in a program for GPUs that cannot.
#ifdef VALID
#define __CUDA_ARCH_LIST__ 750, 800
#else
#define __CUDA_ARCH_LIST__ 750
#endif
#include <cohort/device/cuda/architecture.hpp>

static_assert(cohort::cuda::detail::says_tensor_core_type<cohort::fp16>());
static_assert(cohort::cuda::detail::says_tensor_core_type<cohort::bf16>());
