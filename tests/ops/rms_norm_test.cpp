// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/rms_norm_test.cpp: against fp64, finite differences, and row independence.
#include <doctest/doctest.h>

#include <cohort/ops/elementwise.hpp>
#include <cohort/ops/rms_norm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C>
std::vector<double> reference(const std::vector<double>& x, const std::vector<double>& w) {
  std::vector<double> y(x.size());
  for (std::size_t r = 0; r < x.size(); r += C) {
    double square = 0;
    for (int c = 0; c < C; ++c) square += x[r + c] * x[r + c] / C;
    for (int c = 0; c < C; ++c) y[r + c] = x[r + c] / std::sqrt(square + 1e-5) * w[c];
  }
  return y;
}
double most(const std::vector<double>& v) {
  double top = 0;
  for (const double x : v) top = std::max(top, std::fabs(x));
  return top;
}

template <class T> struct Results {
  std::vector<T> y, dx;
  std::vector<accumulator_t<T>> rstd, dw;
};
template <int C, class T>
Results<T> run(const std::vector<T>& x, const std::vector<T>& w, const std::vector<T>& dy,
               bool first = true, double start = NAN) {
  using A = accumulator_t<T>;
  const std::size_t rows = x.size() / C;
  Results<T> r{std::vector<T>(x.size()), std::vector<T>(x.size()), std::vector<A>(rows),
               std::vector<A>(C, A(start))};
  ops::rms_norm_forward<C>(cpu, static_cast<int>(rows), x.data(), w.data(), r.y.data(),
                           r.rstd.data());
  ops::rms_norm_backward<C>(cpu, static_cast<int>(rows), x.data(), w.data(), r.rstd.data(),
                            dy.data(), r.dx.data(), r.dw.data(), first);
  return r;
}

template <int C> void against_differences() {
  const int rows = 4;
  const auto x = normal<double>(rows * C, 1), w = normal<double>(C, 2),
             dy = normal<double>(rows * C, 4);
  const auto got = run<C>(x, w, dy);
  CHECK(max_error(got.y, reference<C>(x, w)) <= 1e-13);  // 1e3 units
  // h^2 |f'''| / 6 with h = 1e-5 and third derivatives below 1e3, plus unit |f| / h with |f| < 1e2.
  const double tolerance = 1e-10 / 6 * 1e3 + 1.2e-16 / 1e-5 * 1e2;
  const auto slopes = [&](const std::vector<double>& at, auto f) {
    return finite_differences(at, [&](const auto& v) { return dot(f(v), dy); });
  };
  CHECK(max_error(got.dx, slopes(x, [&](auto& v) { return reference<C>(v, w); })) <= tolerance);
  CHECK(max_error(got.dw, slopes(w, [&](auto& v) { return reference<C>(x, v); })) <= tolerance);
  const auto added = run<C>(x, w, dy, false, 3.0);
  for (std::size_t c = 0; c < C; ++c) CHECK(added.dw[c] == 3.0 + got.dw[c]);
}

/// Every type against fp64: sums over C are off by C units, the root by half of that; normal values are
/// at most H. In 16 bits results are rounded once more.
template <int C, class T> void against_fp64() {
  const int rows = 6;
  const auto x = normal<T>(rows * C, 1), w = normal<T>(C, 2), dy = normal<T>(rows * C, 4);
  const auto got = run<C>(x, w, dy);
  const auto want = run<C>(as<double>(x), as<double>(w), as<double>(dy));
  using A = accumulator_t<T>;
  const double H = std::sqrt(double(C)), R = most(want.rstd), W = most(as<double>(w));
  const double D = most(as<double>(dy)), relative = unit<A> * (C + 8);
  CHECK(once_rounded(got.y, want.y, relative * W * H) <= 1);
  CHECK(max_error(got.rstd, want.rstd) <= relative * R);
  CHECK(once_rounded(got.dx, want.dx, relative * R * W * D * (1 + H) * (1 + H)) <= 1);
  CHECK(max_error(got.dw, want.dw) <= relative * (rows + 1) * D * (1 + H));
  // A residual is added to dx as it was rounded. It may be dx.
  auto dx = normal<T>(rows * C, 5), sum = dx;
  auto dw = got.dw;
  const auto add = [&](std::vector<T>& to) {
    ops::rms_norm_backward<C>(cpu, rows, x.data(), w.data(), got.rstd.data(), dy.data(), to.data(),
                              dw.data(), true, static_cast<const T*>(sum.data()));
  };
  add(dx);
  auto apart = got.dx;
  ops::add_to(cpu, apart.size(), apart.data(), sum.data());
  if constexpr (Float16<T>)
    CHECK(same_bits(dx, apart));
  else  // one rounding less
    CHECK(max_error(dx, as<double>(apart)) <= unit<A> * (most(as<double>(dx)) + 2 * R * W * D * H));
  add(sum);
  CHECK(same_bits(sum, dx));
  CHECK(same_bits(dw, got.dw));
}
}  // namespace

TEST_CASE("rms_norm: forward and backward agree with the formula and finite differences") {
  against_differences<16>();
  against_differences<21>();
  against_differences<5>();
}

TEST_CASE_TEMPLATE("rms_norm: near fp64, rounded once", T, float, bf16, fp16) {
  against_fp64<128, T>();
  against_fp64<65, T>();
  against_fp64<24, T>();
}

TEST_CASE_TEMPLATE("rms_norm: 16 bits are fp32 inside", T, bf16, fp16) {
  constexpr int C = 70;
  const auto x = normal<T>(3 * C, 1), w = normal<T>(C, 2), dy = normal<T>(3 * C, 3);
  const auto narrow = run<C>(x, w, dy);
  const auto single = run<C>(as<float>(x), as<float>(w), as<float>(dy));
  CHECK(same_bits(narrow.y, as<T>(single.y)));
  CHECK(same_bits(narrow.dx, as<T>(single.dx)));
  CHECK(same_bits(narrow.rstd, single.rstd));
  CHECK(same_bits(narrow.dw, single.dw));
}

TEST_CASE("rms_norm: a row's bits do not depend on the other rows; in place gives the same") {
  constexpr int C = 37, rows = 5;
  const auto x = normal<float>(rows * C, 1), w = normal<float>(C, 2),
             dy = normal<float>(rows * C, 3);
  const auto all = run<C>(x, w, dy);
  for (int r = 0; r < rows; ++r) {
    const auto one = run<C>(std::vector<float>(x.begin() + r * C, x.begin() + (r + 1) * C), w,
                            std::vector<float>(dy.begin() + r * C, dy.begin() + (r + 1) * C));
    CHECK(same_bits(one.y.data(), all.y.data() + r * C, C));
    CHECK(same_bits(one.dx.data(), all.dx.data() + r * C, C));
  }
  auto y = x, dx = dy;
  std::vector<float> rstd(rows), dw(C);
  ops::rms_norm_forward<C>(cpu, rows, y.data(), w.data(), y.data(), rstd.data());
  ops::rms_norm_backward<C>(cpu, rows, x.data(), w.data(), rstd.data(), dx.data(), dx.data(),
                            dw.data(), true);
  CHECK(same_bits(y, all.y));
  CHECK(same_bits(dx, all.dx));
}
