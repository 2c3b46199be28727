// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/host_device_test.cpp: the marks change nothing for other compilers.
#include <cohort/core/host_device.hpp>

#include <doctest/doctest.h>

#include <type_traits>

namespace {

COHORT_HOST_DEVICE constexpr int twice(int x) { return 2 * x; }
COHORT_DEVICE constexpr int thrice(int x) { return 3 * x; }
struct Marked {
  COHORT_HOST_DEVICE constexpr Marked() {}
  COHORT_HOST_DEVICE constexpr int value() const { return 7; }
};

TEST_CASE("COHORT_HOST_DEVICE, COHORT_DEVICE: for a host compiler plain functions, constexpr too") {
  static_assert(twice(21) == 42 && thrice(3) == 9 && Marked{}.value() == 7);
  static_assert(std::is_same_v<decltype(&twice), decltype(&thrice)>);
  int (*const call)(int) = &thrice;
  CHECK(call(5) == 15);
}

}  // namespace
