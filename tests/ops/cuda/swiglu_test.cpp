// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/swiglu_test.cpp: against the CPU's body in fp64, at every width.
#include <cohort/ops/cuda/swiglu.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
// e^-x is off by 1e-7 (3 + |x|), s by that times 1 - s, which |x| at most doubles: below 6e-7; some ten
// roundings on top. double: <cmath>'s few units.
template <class T>
constexpr double relative = std::is_same_v<T, double> ? 10 * unit<double> : 6e-7 + 10 * unit<float>;

template <int C, class T> void check_gate(int rows) {
  CAPTURE(C);
  Gpu gpu;
  const auto n = static_cast<std::size_t>(rows) * C;
  const auto v = normal<T>(2 * n, 1, 2.0), dv = normal<T>(n, 2);
  const auto wide = as<double>(v), wide_dy = as<double>(dv);
  std::vector<double> want(n), want_dx(2 * n);
  ops::swiglu_forward<C>(cpu, rows, wide.data(), want.data());
  ops::swiglu_backward<C>(cpu, rows, wide.data(), wide_dy.data(), want_dx.data());
  GpuArray<T> x(v), dy(dv), y(n), dx(2 * n);
  ops::swiglu_forward<C>(gpu, rows, x.view(), y.data());
  ops::swiglu_backward<C>(gpu, rows, x.view(), dy.view(), dx.data());
  if (rows == 0) return;
  // Factors below 10: |gate|, |up| and |dy| are normal numbers, of a spread of 2 at most.
  CHECK(once_rounded(y.get(), want, 100 * relative<T>) <= 1);
  CHECK(once_rounded(dx.get(), want_dx, 100 * relative<T>) <= 1);
}
}  // namespace

TEST_CASE_TEMPLATE("swiglu on a GPU: near fp64, at widths of whole packs or not", T, double, float,
                   bf16, fp16) {
  for (const int rows : {0, 1, 3, 70}) {
    check_gate<1, T>(rows);
    check_gate<6, T>(rows);
    check_gate<37, T>(rows);
    check_gate<64, T>(rows);
    check_gate<264, T>(rows);
  }
}
