// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/layer_norm_test.cpp: against fp64, finite differences, and row independence.
#include <doctest/doctest.h>

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
