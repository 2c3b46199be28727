// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/batch_norm_test.cpp: against fp64, finite differences, columns apart, 16 bits.
#include <doctest/doctest.h>

#include <cohort/ops/batch_norm.hpp>

#include "batch_norm_reference.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C, class T> void check(int rows, bool first) {
  CAPTURE(C);
  CAPTURE(rows);
  using A = accumulator_t<T>;
  const BatchNormCase<C, T> given(rows);
  std::vector<A> mean(C, A(NAN)), variance(C, A(NAN));
  std::vector<T> y(given.x.size()), dx(given.x.size());
  auto dw = first ? std::vector<A>(C, A(NAN)) : normal<A>(C, 8), db = dw;
  const auto start = dw;
  ops::batch_moments<C>(cpu, rows, given.x.data(), mean.data(), variance.data());
  ops::normalise_columns<C>(cpu, rows, given.x.data(), mean.data(), variance.data(),
                            given.weight.data(), given.bias.data(), y.data());
  ops::batch_norm_backward<C>(cpu, rows, given.x.data(), mean.data(), variance.data(),
                              given.weight.data(), given.dy.data(), dx.data(), dw.data(), db.data(),
                              first);
  given.check(mean, variance, y, dx, dw, db, start, first);
}
}  // namespace

TEST_CASE_TEMPLATE("batch_norm: near fp64 in every size, far from mean 0, first or added", T,
                   double, float, bf16, fp16) {
  for (const bool first : {true, false}) {
    check<1, T>(2, first);
    check<7, T>(33, first);
    check<70, T>(65, first);
    check<150, T>(200, first);
  }
}

TEST_CASE("batch_norm: finite differences of the whole function") {
  constexpr int C = 3, rows = 5;
  const auto x = normal<double>(C * rows, 1), w = normal<double>(C, 2), b = normal<double>(C, 3),
             dy = normal<double>(C * rows, 4);
  const auto loss = [&](const std::vector<double>& at_x, const std::vector<double>& at_w) {
    std::vector<double> mean(C), variance(C), y(C * rows);
    ops::batch_moments<C>(cpu, rows, at_x.data(), mean.data(), variance.data());
    ops::normalise_columns<C>(cpu, rows, at_x.data(), mean.data(), variance.data(), at_w.data(),
                              b.data(), y.data());
    return dot(y, dy);
  };
  std::vector<double> mean(C), variance(C), dx(C * rows), dw(C), db(C);
  ops::batch_moments<C>(cpu, rows, x.data(), mean.data(), variance.data());
  ops::batch_norm_backward<C>(cpu, rows, x.data(), mean.data(), variance.data(), w.data(),
                              dy.data(), dx.data(), dw.data(), db.data(), true);
  // A sixth of h^2 and the third derivative, with h = 1e-5, and the rounding of the loss over h.
  CHECK(max_error(dx, finite_differences(x, [&](const auto& v) { return loss(v, w); })) <= 1e-8);
  CHECK(max_error(dw, finite_differences(w, [&](const auto& v) { return loss(x, v); })) <= 1e-8);
}

TEST_CASE("batch_norm: with constant moments dx is dy by the slope") {
  constexpr int C = 3;
  const std::vector<float> variance{1, 4, 0.25f}, w{2, 3, 5}, dy{1, 1, 1, -2, -2, -2};
  std::vector<float> dx(6);
  ops::normalise_columns_backward<C>(cpu, 2, variance.data(), w.data(), dy.data(), dx.data(), 0.0f);
  CHECK(dx == std::vector<float>{2, 1.5f, 10, -4, -3, -20});
}

TEST_CASE("batch_norm: a column's bits do not depend on the others; y may be x, dx may be dy") {
  constexpr int C = 70, rows = 40;
  auto x = normal<float>(C * rows, 1), other = x;
  for (int r = 0; r < rows; ++r) other[static_cast<std::size_t>(r * C + 3)] = 1e20f;
  const std::vector<float> w(C, 1.5f), b(C, 0.5f);
  std::vector<float> mean(C), variance(C), mean_too(C), variance_too(C), y(x.size());
  ops::batch_moments<C>(cpu, rows, x.data(), mean.data(), variance.data());
  ops::batch_moments<C>(cpu, rows, other.data(), mean_too.data(), variance_too.data());
  CHECK(mean_too[3] != mean[3]);
  mean_too[3] = mean[3], variance_too[3] = variance[3];
  CHECK((mean_too == mean && variance_too == variance));
  auto dy = normal<float>(C * rows, 2), dx = dy;
  std::vector<float> dw(C), db(C);
  ops::batch_norm_backward<C>(cpu, rows, x.data(), mean.data(), variance.data(), w.data(),
                              dy.data(), dx.data(), dw.data(), db.data(), true);
  ops::batch_norm_backward<C>(cpu, rows, x.data(), mean.data(), variance.data(), w.data(),
                              dy.data(), dy.data(), dw.data(), db.data(), true);
  CHECK(same_bits(dx, dy));
  ops::normalise_columns<C>(cpu, rows, x.data(), mean.data(), variance.data(), w.data(), b.data(),
                            y.data());
  ops::normalise_columns<C>(cpu, rows, x.data(), mean.data(), variance.data(), w.data(), b.data(),
                            x.data());
  CHECK(same_bits(x, y));
}

TEST_CASE("add_moments: samples times the mean and the unbiased variance are added") {
  const std::vector<double> mean{1, -2}, variance{3, 6};
  std::vector<double> mean_sum{10, 20}, variance_sum{0, 1};
  ops::add_moments<2>(cpu, 4, 8, mean.data(), variance.data(), mean_sum.data(),
                      variance_sum.data());
  CHECK(mean_sum == std::vector<double>{18, 4});
  CHECK(max_error(variance_sum, std::vector<double>{32, 65}) <= 1e-13);
}
