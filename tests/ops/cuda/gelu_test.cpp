// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/gelu_test.cpp: against the CPU's body in fp64, forward, slope and backward.
#include <cohort/ops/cuda/gelu.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <class How, class T> void check(std::size_t n, std::size_t offset) {
  CAPTURE(n);
  Gpu gpu;
  const std::size_t size = n + offset;
  const auto v = normal<T>(size, 1, 3.0), dv = normal<T>(size, 2);
  const auto wide = as<double>(v), wide_dy = as<double>(dv);
  std::vector<double> want(size), want_slope(size), want_dx(size);
  ops::gelu_forward<How>(cpu, size, wide.data(), want.data(), want_slope.data());
  ops::gelu_backward<How>(cpu, size, wide.data(), wide_dy.data(), want_dx.data());
  GpuArray<T> x(v), dy(dv), y(size), both(size), slope(size);
  ops::gelu_forward<How>(gpu, n, x.view() + offset, y.data() + offset);
  ops::gelu_forward<How>(gpu, n, x.view() + offset, both.data() + offset, slope.data() + offset);
  ops::gelu_backward<How>(gpu, n, x.view() + offset, dy.view() + offset, dy.data() + offset);
  // Phi is off by 1.2e-7 (erf), or by what e^z with |z| |Phi(1 - Phi)| < 0.3 makes of 3e-7 + 1e-7 |z|:
  // below 2e-7; each multiplied by |x| < 15, in the slope by the derivative of 2 u, |du x| < 12 at most
  // where Phi (1 - Phi) counts. Some ten roundings come on top. double: <cmath>'s few units.
  const double phi = std::is_same_v<T, double> ? 10 * unit<double> : 2e-7 + 10 * unit<float>;
  const auto part = [&](auto& of) {
    const auto all = of.get();
    return std::vector(all.begin() + static_cast<std::ptrdiff_t>(offset), all.end());
  };
  const auto from = [&](const std::vector<double>& all) {
    return std::vector(all.begin() + static_cast<std::ptrdiff_t>(offset), all.end());
  };
  if (n == 0) return;
  CHECK(once_rounded(part(y), from(want), 15 * phi) <= 1);
  CHECK(same_bits(part(both), part(y)));
  CHECK(once_rounded(part(slope), from(want_slope), 12 * phi) <= 1);
  CHECK(once_rounded(part(dy), from(want_dx), 5 * 12 * phi) <= 1);
  for (std::size_t i = 0; i < offset; ++i) CHECK(std::isnan(value(y.get()[i])));
}
}  // namespace

TEST_CASE_TEMPLATE("gelu on a GPU: near fp64 in both forms, at every size and alignment", T, double,
                   float, bf16, fp16) {
  for (const std::size_t n : {0, 1, 8, 131, 9001})
    for (const std::size_t offset : {0, 1}) {
      check<ops::GeluErf, T>(n, offset);
      check<ops::GeluTanh, T>(n, offset);
    }
}

TEST_CASE_TEMPLATE("gelu on a GPU: far from zero it is x or 0, and NaN stays", How, ops::GeluErf,
                   ops::GeluTanh) {
  Gpu gpu;
  GpuArray<float> x(std::vector<float>{40.0f, -40.0f, 0.0f, NAN, 1000.0f, -1000.0f}), y(6),
      slope(6);
  ops::gelu_forward<How>(gpu, 6, x.view(), y.data(), slope.data());
  const auto v = y.get(), s = slope.get();
  CHECK(v[0] == 40);
  CHECK(v[1] == 0);
  CHECK(v[2] == 0);
  CHECK(std::isnan(v[3]));
  CHECK(v[4] == 1000);
  CHECK(v[5] == 0);
  CHECK(s[0] == 1);
  CHECK(s[1] == 0);
  CHECK(s[2] == 0.5f);
}
