// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/rms_norm_test.cpp: against the CPU's body in fp64, and row independence.
#include <cohort/ops/cuda/rms_norm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
double most(const std::vector<double>& v) {
  double top = 0;
  for (const double x : v) top = std::max(top, std::fabs(x));
  return top;
}

template <int C, class T> void check(int rows, bool first) {
  CAPTURE(C);
  CAPTURE(rows);
  using A = accumulator_t<T>;
  Gpu gpu;
  const auto n = static_cast<std::size_t>(rows) * C, r = static_cast<std::size_t>(rows);
  const auto vx = normal<T>(n, 1), vw = normal<T>(C, 2), vdy = normal<T>(n, 4);
  const auto wide_x = as<double>(vx), wide_w = as<double>(vw), wide_dy = as<double>(vdy);
  std::vector<double> want_y(n), want_rstd(r), want_dx(n), want_dw(C);
  ops::rms_norm_forward<C>(cpu, rows, wide_x.data(), wide_w.data(), want_y.data(),
                           want_rstd.data());
  ops::rms_norm_backward<C>(cpu, rows, wide_x.data(), wide_w.data(), want_rstd.data(),
                            wide_dy.data(), want_dx.data(), want_dw.data(), true);
  const auto start = before<A>(C, first, 5);
  GpuArray<T> x(vx), w(vw), dy(vdy), y(n);
  GpuArray<A> rstd(r), dw(start);
  ops::rms_norm_forward<C>(gpu, rows, x.view(), w.view(), y.data(), rstd.data());
  const auto vr = normal<T>(n, 7);
  GpuArray<T> sum(vr), residual(vr);
  GpuArray<A> dw_too(start);
  ops::rms_norm_backward<C>(gpu, rows, x.view(), w.view(), rstd.data(), dy.view(), sum.data(),
                            dw_too.data(), first, residual.view());
  ops::rms_norm_backward<C>(gpu, rows, x.view(), w.view(), rstd.data(), dy.view(), dy.data(),
                            dw.data(), first);
  // A sum of C squares is off by C units, the root by half of that; normal values are at most H.
  const double H = std::sqrt(double(C)), R = most(want_rstd), W = most(wide_w), D = most(wide_dy);
  const double relative = unit<A> * (C + 8);
  CHECK(max_error(rstd.get(), want_rstd) <= relative * R);
  CHECK(once_rounded(y.get(), want_y, relative * W * H) <= 1);
  const double error = relative * R * W * D * (1 + H) * (1 + H);
  CHECK(once_rounded(dy.get(), want_dx, error) <= 1);
  auto with = want_dx;
  auto apart = dy.get();
  for (std::size_t i = 0; i < n; ++i) with[i] += value(vr[i]), apart[i] = T(A(apart[i]) + A(vr[i]));
  if constexpr (Float16<T>)
    CHECK(same_bits(sum.get(), apart));  // dx is rounded before the sum, too
  else
    CHECK(max_error(sum.get(), with) <= error + 2 * unit<A> * most(with));
  CHECK(same_bits(dw_too.get(), dw.get()));
  if (!first)
    for (std::size_t c = 0; c < C; ++c) want_dw[c] += value(start[c]);
  CHECK(max_error(dw.get(), want_dw) <= relative * (rows + 1) * (D + 1) * (1 + H));
}
}  // namespace

TEST_CASE_TEMPLATE("rms_norm on a GPU: near fp64, a warp or a block a row", T, double, float, bf16,
                   fp16) {
  for (const bool first : {true, false}) {
    check<7, T>(3, first);
    check<65, T>(9, first);
    check<768, T>(20, first);
    check<1032, T>(11, first);
  }
}

TEST_CASE("rms_norm on a GPU: a row's bits do not depend on the other rows; y may be x") {
  constexpr int C = 100, rows = 9;
  Gpu gpu;
  const auto v = normal<float>(C * rows, 1);
  GpuArray<float> x(v), w(normal<float>(C, 2)), all(C * rows), rstd(rows);
  ops::rms_norm_forward<C>(gpu, rows, x.view(), w.view(), all.data(), rstd.data());
  for (int r = 0; r < rows; ++r)
    ops::rms_norm_forward<C>(gpu, 1, x.view() + r * C, w.view(), x.data() + r * C, rstd.data() + r);
  CHECK(same_bits(x.get(), all.get()));
}
