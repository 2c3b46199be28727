// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/layer_norm_test.cpp: against fp64, finite differences, and row independence.
#include <doctest/doctest.h>

#include <cohort/ops/elementwise.hpp>
#include <cohort/ops/layer_norm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C>
std::vector<double> reference(const std::vector<double>& x, const std::vector<double>& w,
                              const std::vector<double>& b) {
  std::vector<double> y(x.size());
  for (std::size_t r = 0; r < x.size(); r += C) {
    double mean = 0, variance = 0;
    for (int c = 0; c < C; ++c) mean += x[r + c] / C;
    for (int c = 0; c < C; ++c) variance += (x[r + c] - mean) * (x[r + c] - mean) / C;
    for (int c = 0; c < C; ++c)
      y[r + c] = (x[r + c] - mean) / std::sqrt(variance + 1e-5) * w[c] + (b.empty() ? 0 : b[c]);
  }
  return y;
}
std::vector<double> widen(const std::vector<float>& v) { return {v.begin(), v.end()}; }

template <int C> void forward_against_fp64(double offset) {
  const int rows = 5;
  auto x = normal<float>(rows * C, 1);
  for (float& v : x) v += static_cast<float>(offset);
  const auto w = normal<float>(C, 2), b = normal<float>(C, 3);
  std::vector<float> y(x.size()), mean(rows), rstd(rows);
  ops::layer_norm_forward<C>(cpu, rows, x.data(), w.data(), b.data(), y.data(), mean.data(),
                             rstd.data());
  // A sum over a row makes k = C / lanes + 8 roundings at most. The mean is off by k units of |x| < 4 +
  // offset, which rstd and w (below 3 and 4 here) amplify; the variance by k units relatively, the
  // normal value (below 4) by half of that.
  const double k = double(C) / ops::lanes<float> + 8;
  const double tolerance = unit<float> * k * 4 * (3 * (offset + 4) + 4);
  CHECK(max_error(y, reference<C>(widen(x), widen(w), widen(b))) <= tolerance);
}

template <int C> void backward_against_differences(bool with_bias) {
  const int rows = 4;
  const auto x = normal<double>(rows * C, 1), w = normal<double>(C, 2),
             dy = normal<double>(rows * C, 4);
  const auto b = with_bias ? normal<double>(C, 3) : std::vector<double>{};
  std::vector<double> y(x.size()), mean(rows), rstd(rows), dx(x.size()), dw(C, 7), db(C, 7);
  const auto backward = [&](std::vector<double>& dw_, std::vector<double>& db_, bool first) {
    ops::layer_norm_backward<C>(cpu, rows, x.data(), w.data(), mean.data(), rstd.data(), dy.data(),
                                dx.data(), dw_.data(), with_bias ? db_.data() : nullptr, first);
  };
  ops::layer_norm_forward<C>(cpu, rows, x.data(), w.data(), with_bias ? b.data() : nullptr,
                             y.data(), mean.data(), rstd.data());
  CHECK(max_error(y, reference<C>(x, w, b)) <= 1e-13);  // 1e3 units
  backward(dw, db, true);
  // h^2 |f'''| / 6 with h = 1e-5 and third derivatives below 1e3, plus unit |f| / h with |f| < 1e2.
  const double tolerance = 1e-10 / 6 * 1e3 + 1.2e-16 / 1e-5 * 1e2;
  const auto slopes = [&](const std::vector<double>& at, auto f) {
    return finite_differences(at, [&](const auto& v) { return dot(f(v), dy); });
  };
  CHECK(max_error(dx, slopes(x, [&](auto& v) { return reference<C>(v, w, b); })) <= tolerance);
  CHECK(max_error(dw, slopes(w, [&](auto& v) { return reference<C>(x, v, b); })) <= tolerance);
  if (with_bias)
    CHECK(max_error(db, slopes(b, [&](auto& v) { return reference<C>(x, w, v); })) <= tolerance);
  else
    CHECK(db[0] == 7);  // untouched
  auto dw2 = dw, db2 = db;
  backward(dw2, db2, false);  // not first: added to
  for (int c = 0; c < C; ++c) CHECK(dw2[c] == 2 * dw[c]);
  if (with_bias) CHECK(db2[0] == 2 * db[0]);
}
}  // namespace

TEST_CASE("layer_norm: forward agrees with fp64, also far from mean 0") {
  for (double offset : {0.0, 100.0}) {
    forward_against_fp64<128>(offset);
    forward_against_fp64<65>(offset);
    forward_against_fp64<7>(offset);
  }
}

TEST_CASE("layer_norm: backward agrees with finite differences, with and without bias") {
  for (bool with_bias : {true, false}) {
    backward_against_differences<16>(with_bias);
    backward_against_differences<21>(with_bias);
    backward_against_differences<5>(with_bias);
  }
}

TEST_CASE("layer_norm: a row's bits do not depend on the other rows or on alignment") {
  constexpr int C = 37, rows = 9;
  const auto x = normal<float>(rows * C, 1), w = normal<float>(C, 2),
             dy = normal<float>(rows * C, 3);
  std::vector<float> y(rows * C), dx(rows * C), mean(rows), rstd(rows), dw(C), db(C);
  ops::layer_norm_forward<C>(cpu, rows, x.data(), w.data(), w.data(), y.data(), mean.data(),
                             rstd.data());
  ops::layer_norm_backward<C>(cpu, rows, x.data(), w.data(), mean.data(), rstd.data(), dy.data(),
                              dx.data(), dw.data(), db.data(), true);
  for (int r = 0; r < rows; ++r) {
    std::vector<float> y1(C), dx1(C), m1(1), r1(1);
    ops::layer_norm_forward<C>(cpu, 1, x.data() + r * C, w.data(), w.data(), y1.data(), m1.data(),
                               r1.data());
    ops::layer_norm_backward<C>(cpu, 1, x.data() + r * C, w.data(), m1.data(), r1.data(),
                                dy.data() + r * C, dx1.data(), dw.data(), db.data(), true);
    CHECK(same_bits(y1.data(), y.data() + r * C, C));
    CHECK(same_bits(dx1.data(), dx.data() + r * C, C));
  }
}

TEST_CASE("layer_norm: a constant row gives the bias; in place gives the same bits") {
  const std::vector<float> x(64, 3.25f), w(64, 2.0f), b = normal<float>(64, 1);
  std::vector<float> y(64);
  float mean = 0, rstd = 0;
  ops::layer_norm_forward<64>(cpu, 1, x.data(), w.data(), b.data(), y.data(), &mean, &rstd);
  CHECK(same_bits(y, b));
  auto in_place = normal<float>(64, 2);
  ops::layer_norm_forward<64>(cpu, 1, in_place.data(), w.data(), b.data(), y.data(), &mean, &rstd);
  ops::layer_norm_forward<64>(cpu, 1, in_place.data(), w.data(), b.data(), in_place.data(), &mean,
                              &rstd);
  CHECK(same_bits(y, in_place));
}

namespace {
template <class T> struct Results {
  std::vector<T> y, dx;
  std::vector<accumulator_t<T>> mean, rstd, dw, db;
};
template <int C, class T>
Results<T> run(const std::vector<T>& x, const std::vector<T>& w, const std::vector<T>& b,
               const std::vector<T>& dy) {
  using A = accumulator_t<T>;
  const std::size_t rows = x.size() / C;
  Results<T> r{std::vector<T>(x.size()), std::vector<T>(x.size()), std::vector<A>(rows),
               std::vector<A>(rows),     std::vector<A>(C),        std::vector<A>(C)};
  ops::layer_norm_forward<C>(cpu, static_cast<int>(rows), x.data(), w.data(), b.data(), r.y.data(),
                             r.mean.data(), r.rstd.data());
  ops::layer_norm_backward<C>(cpu, static_cast<int>(rows), x.data(), w.data(), r.mean.data(),
                              r.rstd.data(), dy.data(), r.dx.data(), r.dw.data(), r.db.data(),
                              true);
  return r;
}

template <int C, class T> void check_16_bits(double offset) {
  const int rows = 6;
  auto x = normal<T>(rows * C, 1);
  for (T& v : x) v = T(float(v) + static_cast<float>(offset));
  const auto w = normal<T>(C, 2), b = normal<T>(C, 3), dy = normal<T>(rows * C, 4);
  const auto narrow = run<C>(x, w, b, dy);
  const auto single = run<C>(as<float>(x), as<float>(w), as<float>(b), as<float>(dy));
  CHECK(
      same_bits(narrow.y, as<T>(single.y)));  // statistics and sums are fp32, results rounded once
  CHECK(same_bits(narrow.dx, as<T>(single.dx)));
  CHECK(same_bits(narrow.mean, single.mean));
  CHECK(same_bits(narrow.rstd, single.rstd));
  CHECK(same_bits(narrow.dw, single.dw));
  CHECK(same_bits(narrow.db, single.db));

  const auto exact = run<C>(as<double>(x), as<double>(w), as<double>(b), as<double>(dy));
  // With X = max |x|, R = max rstd, W and D the largest weight and dy, and normal values below H = 4.5
  // here: sums over C are off by C units, the mean by C units of X, which R amplifies; the normal
  // value enters backward squared. Sums over rows make a rounding a row.
  const auto most = [](const auto& v) {
    double top = 0;
    for (auto e : v) top = std::max(top, std::fabs(value(e)));
    return top;
  };
  const double H = 4.5, R = most(exact.rstd), W = most(w), D = most(dy);
  const double relative = unit<float> * (C + 8) * (1 + most(x) * R);
  CHECK(once_rounded(narrow.y, exact.y, relative * (W * (1 + H) + most(b))) <= 1);
  CHECK(once_rounded(narrow.dx, exact.dx, relative * R * W * D * (1 + H) * (1 + H)) <= 1);
  CHECK(max_error(narrow.dw, exact.dw) <= relative * rows * D * (1 + H));
  // A residual is added to dx as it was rounded; every other result stays as it is. It may be dx.
  auto dx = normal<T>(rows * C, 5), sum = dx;
  auto dw = narrow.dw, db = dw;
  ops::layer_norm_backward<C>(cpu, rows, x.data(), w.data(), narrow.mean.data(), narrow.rstd.data(),
                              dy.data(), dx.data(), dw.data(), db.data(), true, sum.data());
  auto apart = narrow.dx;
  ops::add_to(cpu, apart.size(), apart.data(), sum.data());
  CHECK(same_bits(dx, apart));
  ops::layer_norm_backward<C>(cpu, rows, x.data(), w.data(), narrow.mean.data(), narrow.rstd.data(),
                              dy.data(), sum.data(), dw.data(), db.data(), true,
                              static_cast<const T*>(sum.data()));
  CHECK(same_bits(sum, dx));
  CHECK(same_bits(dw, narrow.dw));
  CHECK(same_bits(db, narrow.db));
  CHECK(max_error(narrow.db, exact.db) <= unit<float> * rows * rows * D);
}
}  // namespace

TEST_CASE_TEMPLATE("layer_norm: 16 bits are fp32 inside, rounded once, and near fp64", T, bf16,
                   fp16) {
  for (double offset : {0.0, 8.0}) {
    check_16_bits<128, T>(offset);
    check_16_bits<65, T>(offset);
    check_16_bits<24, T>(offset);
  }
}
