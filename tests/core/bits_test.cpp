// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/bits_test.cpp: counts of bits against the standard's (on a GPU: tests/ptx/bits_test.cu).
#include <doctest/doctest.h>

#include <cohort/core/bits.hpp>

TEST_CASE("bits: leading zeros, ones and trailing ones are the standard's") {
  static_assert(cohort::leading_zeros(0) == 64 && cohort::leading_zeros(~std::uint64_t{0}) == 0);
  static_assert(cohort::trailing_ones(0) == 0 && cohort::trailing_ones(~std::uint32_t{0}) == 32);
  std::uint64_t x = 0x9e3779b97f4a7c15;
  for (int i = 0; i < 1000; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    const std::uint64_t wide = x >> (i % 64);
    const auto narrow = static_cast<std::uint32_t>(x >> 32) | ((1u << i % 32) - 1);
    REQUIRE(cohort::leading_zeros(wide) == std::countl_zero(wide));
    REQUIRE(cohort::ones(narrow) == std::popcount(narrow));
    REQUIRE(cohort::trailing_ones(narrow) == std::countr_one(narrow));
  }
}
