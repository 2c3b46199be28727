// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/architecture_test.cpp: what tensor cores take; without nvcc the newest GPU is assumed. The sentence:
// tests/compile_fail/device/bf16_on_sm_75.cpp.
#include <cohort/device/cuda/architecture.hpp>

#include <doctest/doctest.h>

using namespace cohort;

static_assert(cuda::TensorCoreType<fp16> && cuda::TensorCoreType<bf16>);
static_assert(!cuda::TensorCoreType<float> && !cuda::TensorCoreType<double>);
static_assert(cuda::detail::newest_architecture() >= 800);

TEST_CASE("architecture: a type that tensor cores take needs no sentence") {
  CHECK(cuda::detail::says_tensor_core_type<bf16>());
  CHECK(cuda::detail::says_tensor_core_type<fp16>());
}
