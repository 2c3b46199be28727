// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/non_finite_test.cpp: every bit pattern of 16 bits, and every place in an array.
#include <cohort/ops/non_finite.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace cohort;

namespace {

TEST_CASE_TEMPLATE("all_finite: every number of 16 bits, as the standard library sees it in fp32",
                   T, bf16, fp16) {
  int wrong = 0;
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const T x = T::from_bits(static_cast<std::uint16_t>(bits));
    const auto wide = static_cast<float>(x);
    const auto count = ops::count_non_finite(&x, 1);
    wrong += ops::all_finite(&x, 1) != std::isfinite(wide);
    wrong += (count.nans == 1) != std::isnan(wide) || (count.infinities == 1) != std::isinf(wide);
  }
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("count_non_finite: how many, the first, its value, wherever they stand", T,
                   float, double, bf16) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  int wrong = 0;
  for (std::size_t n : {1u, 7u, 64u, 1000u}) {
    std::vector<T> x(n, T(std::numeric_limits<float>::max() / 2));
    wrong += !ops::all_finite(x.data(), n) || bool(ops::count_non_finite(x.data(), n));
    for (std::size_t at = 0; at < n; ++at) {
      x[at] = T(-inf);
      const auto one = ops::count_non_finite(x.data(), n);
      wrong += !one || one.first != at || one.infinities != 1 || one.nans != 0 || one.value != -inf;
      x[at] = T(std::numeric_limits<float>::denorm_min());
    }
  }
  CHECK(wrong == 0);
  std::vector<T> x(100, T(1.0f));
  x[40] = x[99] = T(std::nanf(""));
  x[41] = T(inf);
  const auto mixed = ops::count_non_finite(x.data(), x.size());
  CHECK((mixed.nans == 2 && mixed.infinities == 1 && mixed.first == 40));
  CHECK(std::isnan(mixed.value));
  CHECK(ops::all_finite(x.data(), 0));
}

}  // namespace
