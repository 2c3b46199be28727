// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/batch_norm_test.cpp: against fp64, many parts, constant moments, sums of averages.
#include <cohort/ops/cuda/batch_norm.hpp>

#include "../batch_norm_reference.hpp"
#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C, class T> void check(int rows, bool first) {
  CAPTURE(C);
  CAPTURE(rows);
  using A = accumulator_t<T>;
  Gpu gpu;
  const BatchNormCase<C, T> given(rows);
  const auto start = before<A>(C, first, 8);
  GpuArray<T> x(given.x), w(given.weight), b(given.bias), dy(given.dy), y(given.x.size());
  GpuArray<A> mean(C), variance(C), dw(start), db(start);
  ops::batch_moments<C>(gpu, rows, x.view(), mean.data(), variance.data());
  ops::normalise_columns<C>(gpu, rows, x.view(), mean.view(), variance.view(), w.view(), b.view(),
                            y.data());
  ops::batch_norm_backward<C>(gpu, rows, x.view(), mean.view(), variance.view(), w.view(),
                              dy.view(), dy.data(), dw.data(), db.data(), first);
  given.check(mean.get(), variance.get(), y.get(), dy.get(), dw.get(), db.get(), start, first);
}
}  // namespace

TEST_CASE_TEMPLATE("batch_norm on a GPU: near fp64 for every size, first or added", T, double,
                   float, bf16, fp16) {
  for (const bool first : {true, false}) {
    check<1, T>(2, first);
    check<7, T>(37, first);
    check<72, T>(65, first);
    check<520, T>(130, first);
  }
}

TEST_CASE("batch_norm on a GPU: more rows than parts take at once, and a last part that is short") {
  check<8, float>(64 * 256 + 1, true);
  check<5, bf16>(1000, false);
}

TEST_CASE_TEMPLATE("batch_norm on a GPU: constant moments, also of 16 bits, as on the CPU", T,
                   float, bf16) {
  constexpr int C = 72, rows = 70;
  Gpu gpu;
  const BatchNormCase<C, T> given(rows);
  std::vector<T> variance(C);
  for (std::size_t c = 0; c < C; ++c) variance[c] = T(accumulator_t<T>(1 + c % 5));
  GpuArray<T> x(given.x), w(given.weight), b(given.bias), v(variance), y(given.x.size()),
      dx(given.x.size());
  ops::normalise_columns<C>(gpu, rows, x.view(), b.view(), v.view(), w.view(), b.view(), y.data());
  ops::normalise_columns_backward<C>(gpu, rows, v.view(), w.view(), x.view(), dx.data());
  std::vector<T> want_y(given.x.size()), want_dx(given.x.size());
  ops::normalise_columns<C>(cpu, rows, given.x.data(), given.bias.data(), variance.data(),
                            given.weight.data(), given.bias.data(), want_y.data());
  ops::normalise_columns_backward<C>(cpu, rows, variance.data(), given.weight.data(),
                                     given.x.data(), want_dx.data());
  // Values below 64: a few roundings of fp32 apart, which may decide the last one, that of T.
  const double off = 8 * unit<float> * 64 + (std::is_same_v<T, bf16> ? 64.0 / 128 : 0);
  CHECK(max_error(y.get(), as<double>(want_y)) <= off);
  CHECK(max_error(dx.get(), as<double>(want_dx)) <= off);
}

TEST_CASE("add_moments on a GPU: the CPU's bits") {
  constexpr int C = 300;
  Gpu gpu;
  const auto m = normal<float>(C, 1), v = normal<float>(C, 2), start = normal<float>(C, 3);
  GpuArray<float> mean(m), variance(v), mean_sum(start), variance_sum(start);
  ops::add_moments<C>(gpu, 40, 8, mean.view(), variance.view(), mean_sum.data(),
                      variance_sum.data());
  auto want_mean = start, want_variance = start;
  ops::add_moments<C>(cpu, 40, 8, m.data(), v.data(), want_mean.data(), want_variance.data());
  CHECK(same_bits(mean_sum.get(), want_mean));
  CHECK(same_bits(variance_sum.get(), want_variance));
}
