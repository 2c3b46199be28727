// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/mean_squared_error_test.cpp: the sum near fp64's, the gradient the CPU's bits.
#include <cohort/ops/cuda/mean_squared_error.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C, class T> void check(int rows) {
  CAPTURE(C);
  using A = accumulator_t<T>;
  Gpu gpu;
  const auto n = static_cast<std::size_t>(rows) * C;
  const auto vy = normal<T>(n, 1);
  const auto vt = normal<A>(n, 2);
  std::vector<T> want(n);
  const auto total =
      ops::mean_squared_error_gradient<C>(cpu, rows, vy.data(), vt.data(), want.data(), A(0.3));
  GpuArray<T> y(vy);
  GpuArray<A> target(vt);
  GpuArray<float> scale(std::vector<float>{0.3f});
  ops::mean_squared_error<C>(gpu, rows, y.view(), target.view());
  // n squares in another order of additions: n units of the sum, twice over.
  const double tolerance = 2 * unit<double> * double(n + 1) * total.sum;
  CHECK(std::fabs(gpu.loss()[0] - total.sum) <= tolerance);
  CHECK(gpu.loss()[1] == total.weight);
  if constexpr (std::is_same_v<A, double>)
    ops::mean_squared_error_gradient<C>(gpu, rows, y.view(), target.view(), y.data(), A(0.3));
  else
    ops::mean_squared_error_gradient<C>(gpu, rows, y.view(), target.view(), y.data(), scale.view());
  CHECK(same_bits(y.get(), want));
  CHECK(std::fabs(gpu.loss()[0] - 2 * total.sum) <= 2 * tolerance);
  CHECK(gpu.loss()[1] == 2 * total.weight);
}
}  // namespace

TEST_CASE_TEMPLATE("mean_squared_error on a GPU: for every size and type", T, double, float, bf16,
                   fp16) {
  for (const int rows : {0, 1, 9, 40}) {
    check<1, T>(rows);
    check<7, T>(rows);
    check<100, T>(rows);
    check<1100, T>(rows);
  }
}
