// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/layer_norm_test.cpp: against the CPU's body in fp64, row independence, with a residual.
#include <cohort/ops/cuda/layer_norm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
double most(const std::vector<double>& v) {
  double top = 0;
  for (const double x : v) top = std::max(top, std::fabs(x));
  return top;
}

/// The CPU's body in fp64: what every type is compared with.
template <int C> struct Exact {
  std::vector<double> y, mean, rstd, dx, dw, db;
  Exact(int rows, const std::vector<double>& x, const std::vector<double>& w,
        const std::vector<double>* b, const std::vector<double>& dy)
      : y(x), mean(static_cast<std::size_t>(rows)), rstd(mean), dx(x), dw(C), db(C) {
    ops::layer_norm_forward<C>(cpu, rows, x.data(), w.data(), b ? b->data() : nullptr, y.data(),
                               mean.data(), rstd.data());
    ops::layer_norm_backward<C>(cpu, rows, x.data(), w.data(), mean.data(), rstd.data(), dy.data(),
                                dx.data(), dw.data(), db.data(), true);
  }
};

template <int C, class T> void check(int rows, bool with_bias, bool first) {
  CAPTURE(C);
  CAPTURE(rows);
  using A = accumulator_t<T>;
  Gpu gpu;
  const auto n = static_cast<std::size_t>(rows) * C, r = static_cast<std::size_t>(rows);
  auto vx = normal<T>(n, 1);
  for (T& x : vx) x = T(accumulator_t<T>(x) + 2);  // far from mean 0
  const auto vw = normal<T>(C, 2), vb = normal<T>(C, 3), vdy = normal<T>(n, 4);
  const auto wide_b = as<double>(vb);
  const Exact<C> want(rows, as<double>(vx), as<double>(vw), with_bias ? &wide_b : nullptr,
                      as<double>(vdy));
  const auto start_w = before<A>(C, first, 5), start_b = before<A>(C, first, 6);
  GpuArray<T> x(vx), w(vw), b(vb), dy(vdy), y(n);
  GpuArray<A> mean(r), rstd(r), dw(start_w), db(start_b);
  const T* bias = with_bias ? b.view() : nullptr;
  ops::layer_norm_forward<C>(gpu, rows, x.view(), w.view(), bias, y.data(), mean.data(),
                             rstd.data());
  const auto vr = normal<T>(n, 7);
  GpuArray<T> sum(vr), residual(vr);
  GpuArray<A> dw_too(start_w), db_too(start_b);
  ops::layer_norm_backward<C>(gpu, rows, x.view(), w.view(), mean.data(), rstd.data(), dy.view(),
                              sum.data(), dw_too.data(), with_bias ? db_too.data() : nullptr, first,
                              residual.view());
  ops::layer_norm_backward<C>(gpu, rows, x.view(), w.view(), mean.data(), rstd.data(), dy.view(),
                              dy.data(), dw.data(), with_bias ? db.data() : nullptr, first);
  // As on the CPU: sums over C are off by C units, the mean by C units of X, which R amplifies; the
  // normal value, at most H, enters backward squared. Sums over rows make a rounding a row.
  const double H = std::sqrt(double(C)), R = most(want.rstd), W = most(as<double>(vw));
  const double D = most(as<double>(vdy)), B = most(wide_b);
  const double relative = unit<A> * (C + 8) * (1 + most(as<double>(vx)) * R);
  CHECK(max_error(mean.get(), want.mean) <= relative);
  CHECK(max_error(rstd.get(), want.rstd) <= relative * R);
  CHECK(once_rounded(y.get(), want.y, relative * (W * (1 + H) + B)) <= 1);
  const double error = relative * R * W * D * (1 + H) * (1 + H);
  CHECK(once_rounded(dy.get(), want.dx, error) <= 1);
  auto with = want.dx;
  auto apart = dy.get();
  for (std::size_t i = 0; i < n; ++i) with[i] += value(vr[i]), apart[i] = T(A(apart[i]) + A(vr[i]));
  if constexpr (Float16<T>)
    CHECK(same_bits(sum.get(), apart));  // dx is rounded before the sum, too
  else
    CHECK(max_error(sum.get(), with) <= error + 2 * unit<A> * most(with));
  CHECK(same_bits(dw_too.get(), dw.get()));
  CHECK(same_bits(db_too.get(), db.get()));
  auto sums = want.dw, bias_sums = want.db;
  if (!first)
    for (std::size_t c = 0; c < C; ++c)
      sums[c] += value(start_w[c]), bias_sums[c] += value(start_b[c]);
  CHECK(max_error(dw.get(), sums) <= relative * (rows + 1) * (D + 1) * (1 + H));
  if (with_bias)
    CHECK(max_error(db.get(), bias_sums) <= unit<A> * (rows + 1) * (rows + 1) * (D + 4));
  else
    CHECK(same_bits(db.get(), start_b));  // untouched
}

template <class T> void check_sizes() {
  for (const bool first : {true, false}) {
    check<7, T>(3, true, first);
    check<65, T>(9, false, first);
    check<768, T>(20, true, first);
    check<1032, T>(11, true, first);
  }
}
}  // namespace

TEST_CASE_TEMPLATE("layer_norm on a GPU: near fp64, a warp or a block a row", T, double, float,
                   bf16, fp16) {
  check_sizes<T>();
}

TEST_CASE("layer_norm on a GPU: rows beyond one part, and rows of many packs") {
  check<16, float>(700, true, true);
  check<5000, bf16>(3, true, true);
}

TEST_CASE("layer_norm on a GPU: a row's bits do not depend on the other rows; y may be x") {
  constexpr int C = 100, rows = 9;
  Gpu gpu;
  const auto v = normal<bf16>(C * rows, 1), vw = normal<bf16>(C, 2);
  GpuArray<bf16> x(v), w(vw), all(C * rows);
  GpuArray<float> mean(rows), rstd(rows);
  ops::layer_norm_forward<C>(gpu, rows, x.view(), w.view(), w.view(), all.data(), mean.data(),
                             rstd.data());
  const auto together = all.get();
  for (int r = 0; r < rows; ++r)
    ops::layer_norm_forward<C>(gpu, 1, x.view() + r * C, w.view(), w.view(), x.data() + r * C,
                               mean.data() + r, rstd.data() + r);
  CHECK(same_bits(x.get(), together));
}

TEST_CASE("layer_norm on a GPU: no rows leave gradients that are zero, or as they were") {
  Gpu gpu;
  const auto start = normal<float>(24, 1);
  GpuArray<float> x(24), dw(24), db(start), other(24);
  ops::layer_norm_backward<24>(gpu, 0, x.view(), x.view(), x.view(), x.view(), x.view(), x.data(),
                               dw.data(), other.data(), true);
  ops::layer_norm_backward<24>(gpu, 0, x.view(), x.view(), x.view(), x.view(), x.view(), x.data(),
                               db.data(), static_cast<float*>(nullptr), false);
  CHECK(dw.get() == std::vector<float>(24, 0.0f));
  CHECK(same_bits(db.get(), start));
}
