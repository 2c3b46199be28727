// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/batch_norm_reference.hpp: BatchNorm in fp64, from its definition, and what may lie between.
#pragma once
#include <doctest/doctest.h>

#include <cohort/core/dtype.hpp>

#include "support.hpp"

namespace cohort::testing {

/// Inputs far from mean 0, and what the definition gives for them in fp64.
template <int C, class T> struct BatchNormCase {
  using A = accumulator_t<T>;
  int rows;
  std::vector<T> x, weight, bias, dy;
  std::vector<double> mean, variance, y, dx, dw, db;

  explicit BatchNormCase(int num_rows)
      : rows(num_rows),
        x(normal<T>(size(), 1)),
        weight(normal<T>(C, 2)),
        bias(normal<T>(C, 3)),
        dy(normal<T>(size(), 4)),
        mean(C),
        variance(C),
        y(size()),
        dx(size()),
        dw(C),
        db(C) {
    for (T& v : x) v = T(A(v) + 2);
    for (std::size_t c = 0; c < C; ++c) column(c);
  }

  /// Sums over n rows are off by n units of their terms; the mean's error is amplified by 1 / deviation; the
  /// normal value is at most H = sqrt(n) and enters backward squared.
  void check(const std::vector<A>& got_mean, const std::vector<A>& got_variance,
             const std::vector<T>& got_y, const std::vector<T>& got_dx,
             const std::vector<A>& got_dw, const std::vector<A>& got_db,
             const std::vector<A>& start, bool first) const {
    double R = 0, W = 0, B = 0, D = 0, X = 0;
    for (const double v : variance) R = std::max(R, 1 / std::sqrt(v + 1e-5));
    for (const T& v : weight) W = std::max(W, std::fabs(value(v)));
    for (const T& v : bias) B = std::max(B, std::fabs(value(v)));
    for (const T& v : dy) D = std::max(D, std::fabs(value(v)));
    for (const T& v : x) X = std::max(X, std::fabs(value(v)));
    const double H = std::sqrt(double(rows)), n = rows + 8;
    const double relative = unit<A> * n * (1 + X * R);
    CHECK(max_error(got_mean, mean) <= unit<A> * n * X);
    CHECK(max_error(got_variance, variance) <= unit<A> * n * 4 * X * X);
    CHECK(once_rounded(got_y, y, relative * (1 + X * R) * (W * (1 + H) + B)) <= 1);
    const double slope = relative * (1 + X * R) * R * W * D * (1 + H) * (1 + H);
    CHECK(once_rounded(got_dx, dx, slope) <= 1);
    auto want_w = dw, want_b = db;
    if (!first)
      for (std::size_t c = 0; c < C; ++c)
        want_w[c] += value(start[c]), want_b[c] += value(start[c]);
    CHECK(max_error(got_dw, want_w) <=
          relative * (1 + X * R) * (rows + 1) * (D + 1) * (1 + H) + 4 * unit<A>);
    CHECK(max_error(got_db, want_b) <= unit<A> * (rows + 1) * (rows + 1) * (D + 4));
  }

 private:
  std::size_t size() const { return static_cast<std::size_t>(rows) * C; }
  void column(std::size_t c) {
    const double n = rows;
    const auto at = [c](int r) { return static_cast<std::size_t>(r) * C + c; };
    for (int r = 0; r < rows; ++r) mean[c] += value(x[at(r)]) / n;
    for (int r = 0; r < rows; ++r) variance[c] += std::pow(value(x[at(r)]) - mean[c], 2) / n;
    const double rstd = 1 / std::sqrt(variance[c] + 1e-5);
    const auto hat = [&](int r) { return (value(x[at(r)]) - mean[c]) * rstd; };
    for (int r = 0; r < rows; ++r) {
      y[at(r)] = hat(r) * value(weight[c]) + value(bias[c]);
      db[c] += value(dy[at(r)]);
      dw[c] += value(dy[at(r)]) * hat(r);
    }
    for (int r = 0; r < rows; ++r)
      dx[at(r)] = value(weight[c]) * rstd * (value(dy[at(r)]) - db[c] / n - hat(r) * dw[c] / n);
  }
};

}  // namespace cohort::testing
