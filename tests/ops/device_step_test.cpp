// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/device_step_test.cpp: what optimizers' kernels read is plain data.
#include <cohort/ops/device_step.hpp>

#include <doctest/doctest.h>

#include <cohort/ops/adamw.hpp>
#include <type_traits>

using namespace cohort;

static_assert(std::is_trivially_copyable_v<ops::DeviceStep<ops::AdamStep<float>>>);
static_assert(std::is_trivially_copyable_v<ops::RandomRounding>);
static_assert(std::is_empty_v<ops::NearestRounding>);

namespace {

TEST_CASE("DeviceStep: memory of zeros is a step of number 0 that would be taken") {
  const ops::DeviceStep<ops::AdamStep<float>> step{};
  CHECK(step.skip == 0);
  CHECK(step.number == 0);
  CHECK(step.step.grad_scale == 0.0f);
}

}  // namespace
