// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/activation_test.cpp: each function against the CPU's body, in fp64 or bit by bit.
#include <cohort/ops/cuda/activation.hpp>

#include <cohort/ops/gelu.hpp>
#include <cohort/ops/relu.hpp>
#include <cohort/ops/silu.hpp>

#include "../own_function.hpp"
#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE(
    "relu, and a function of one's own, on a GPU: the CPU's bits, zeros and NaN included", T,
    double, float, bf16, fp16) {
  const auto check = []<class F>(F) {
    Gpu gpu;
    for (const std::size_t n : {0, 1, 3, 64, 131, 9001}) {
      auto v = normal<T>(n, 1);
      if (n >= 3) v[0] = T(0.0f), v[1] = T(-0.0f), v[2] = T(NAN);
      const auto dv = normal<T>(n, 2);
      std::vector<T> y(n), dx(n);
      ops::activation_forward<F>(cpu, n, v.data(), y.data());
      ops::activation_backward<F>(cpu, n, v.data(), dv.data(), dx.data());
      GpuArray<T> x(v), dy(dv);
      ops::activation_backward<F>(gpu, n, x.view(), dy.view(), dy.data());
      ops::activation_forward<F>(gpu, n, x.view(), x.data());
      CHECK(same_bits(x.get(), y));
      CHECK(same_bits(dy.get(), dx));
    }
  };
  check(ops::Relu{});
  check(LeakySquare{});
}

namespace {
template <class How, class T> void check(std::size_t n, std::size_t offset) {
  CAPTURE(n);
  Gpu gpu;
  const std::size_t size = n + offset;
  const auto v = normal<T>(size, 1, 3.0), dv = normal<T>(size, 2);
  const auto wide = as<double>(v), wide_dy = as<double>(dv);
  std::vector<double> want(size), want_slope(size), want_dx(size);
  ops::activation_forward<How>(cpu, size, wide.data(), want.data(), want_slope.data());
  ops::activation_backward<How>(cpu, size, wide.data(), wide_dy.data(), want_dx.data());
  GpuArray<T> x(v), dy(dv), y(size), both(size), slope(size);
  ops::activation_forward<How>(gpu, n, x.view() + offset, y.data() + offset);
  ops::activation_forward<How>(gpu, n, x.view() + offset, both.data() + offset,
                               slope.data() + offset);
  ops::activation_backward<How>(gpu, n, x.view() + offset, dy.view() + offset, dy.data() + offset);
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
  ops::activation_forward<How>(gpu, 6, x.view(), y.data(), slope.data());
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

namespace {
// e^-x is off by 1e-7 (3 + |x|), s by that times 1 - s, which |x| at most doubles: below 6e-7; some ten
// roundings on top. double: <cmath>'s few units.
template <class T>
constexpr double relative = std::is_same_v<T, double> ? 10 * unit<double> : 6e-7 + 10 * unit<float>;
}  // namespace

TEST_CASE_TEMPLATE("silu on a GPU: near fp64, at every alignment", T, double, float, bf16, fp16) {
  for (const std::size_t n : {1, 8, 131, 9001})
    for (const std::size_t offset : {0, 1}) {
      Gpu gpu;
      const auto v = normal<T>(n + offset, 1, 3.0), dv = normal<T>(n + offset, 2);
      const auto wide = as<double>(v), wide_dy = as<double>(dv);
      std::vector<double> want(n), want_dx(n);
      ops::activation_forward<ops::Silu>(cpu, n, wide.data() + offset, want.data());
      ops::activation_backward<ops::Silu>(cpu, n, wide.data() + offset, wide_dy.data() + offset,
                                          want_dx.data());
      GpuArray<T> x(v), dy(dv), y(n + offset);
      ops::activation_forward<ops::Silu>(gpu, n, x.view() + offset, y.data() + offset);
      ops::activation_backward<ops::Silu>(gpu, n, x.view() + offset, dy.view() + offset,
                                          dy.data() + offset);
      const auto part = [&](const std::vector<T>& all) {
        return std::vector(all.begin() + static_cast<std::ptrdiff_t>(offset), all.end());
      };
      CHECK(once_rounded(part(y.get()), want, 15 * relative<T>) <= 1);
      CHECK(once_rounded(part(dy.get()), want_dx, 10 * relative<T>) <= 1);
    }
}

TEST_CASE("silu on a GPU: far from zero it is x or 0, and NaN stays") {
  Gpu gpu;
  GpuArray<float> x(std::vector<float>{200.0f, -200.0f, 0.0f, NAN, 1e30f, -1e30f}),
      dy(std::vector<float>(6, 1.0f)), y(6), dx(6);
  ops::activation_forward<ops::Silu>(gpu, 6, x.view(), y.data());
  ops::activation_backward<ops::Silu>(gpu, 6, x.view(), dy.view(), dx.data());
  const auto v = y.get(), s = dx.get();
  CHECK((v[0] == 200 && v[1] == 0 && v[2] == 0 && v[4] == 1e30f && v[5] == 0));
  CHECK((s[0] == 1 && s[1] == 0 && s[2] == 0.5f && s[4] == 1 && s[5] == 0));
  CHECK((std::isnan(v[3]) && std::isnan(s[3])));
}
