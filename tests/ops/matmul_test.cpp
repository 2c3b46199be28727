// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/matmul_test.cpp: laws of the matrix product as an op of the device.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_eigen.hpp>
#include <cohort/ops/gemm_tiled.hpp>
#include <cohort/ops/matmul.hpp>
#include <vector>

#include "gemm_narrow.hpp"

using cohort::Cpu;
using gemm_test::Problem;

TEST_CASE_TEMPLATE("matmul: a linear layer's three products on its device", Gemm, cohort::EigenGemm,
                   cohort::TiledGemm) {
  const Cpu<Gemm> device;
  const Problem<false, true, float> y(24, 65, 128);
  std::vector<float> c = y.c;
  cohort::ops::matmul<false, true>(device, 24, 65, 128, y.a.data(), y.lda, y.b.data(), y.ldb, 0.0f,
                                   c.data(), y.ldc);
  CHECK(y.worst(c, 0.0f) <= 1);
  const Problem<false, false, float> dx(24, 128, 65);
  c = dx.c;
  cohort::ops::matmul<false, false>(device, 24, 128, 65, dx.a.data(), dx.lda, dx.b.data(), dx.ldb,
                                    0.0f, c.data(), dx.ldc);
  CHECK(dx.worst(c, 0.0f) <= 1);
  const Problem<true, false, float> dw(65, 128, 24);
  c = dw.c;
  cohort::ops::matmul<true, false>(device, 65, 128, 24, dw.a.data(), dw.lda, dw.b.data(), dw.ldb,
                                   1.0f, c.data(), dw.ldc);
  CHECK(dw.worst(c, 1.0f) <= 1);
}

TEST_CASE_TEMPLATE("matmul_bias: adds the bias to every row, also across blocks of k and at k = 0",
                   Gemm, cohort::EigenGemm, cohort::TiledGemm) {
  const Cpu<Gemm> device;
  for (int k : {1, 128, 600}) {
    const Problem<false, true, float> x(29, 70, k);
    std::vector<float> bias(70), c(x.c.size(), std::numeric_limits<float>::quiet_NaN());
    for (int j = 0; j < 70; ++j) bias[j] = 0.1f * float(j);
    cohort::ops::matmul_bias<false, true>(device, 29, 70, k, x.a.data(), x.lda, x.b.data(), x.ldb,
                                          bias.data(), c.data(), x.ldc);
    CHECK(x.worst(c, 0.0f, bias.data()) <= 1);
    CHECK(x.gap_untouched(c));
  }
  std::vector<float> bias{1, 2, 3}, c(6, -1.0f), none(8);
  cohort::ops::matmul_bias<false, true>(device, 2, 3, 0, none.data(), 1, none.data(), 1,
                                        bias.data(), c.data(), 3);
  CHECK(c == std::vector<float>{1, 2, 3, 1, 2, 3});
}

TEST_CASE_TEMPLATE("matmul_then: every element is handed over once, when it is final", Gemm,
                   cohort::EigenGemm, cohort::TiledGemm) {
  const Cpu<Gemm> device;
  for (int k : {0, 1, 600}) {  // 600 columns: more than are packed at once
    const int m = 29, n = 600;
    const Problem<false, true, float> x(m, n, k);
    std::vector<float> bias(n, 0.5f), plain = x.c, c = x.c, copy = x.c;
    std::vector<int> times(x.c.size());
    for (const float* b :
         {static_cast<const float*>(bias.data()), static_cast<const float*>(nullptr)}) {
      std::fill(times.begin(), times.end(), 0);
      cohort::ops::matmul_then<false, true>(device, m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb,
                                            b, c.data(), x.ldc,
                                            [&](int row, int rows, int column, int columns) {
                                              for (int i = row; i < row + rows; ++i)
                                                for (int j = column; j < column + columns; ++j) {
                                                  copy[static_cast<std::size_t>(i * x.ldc + j)] =
                                                      c[static_cast<std::size_t>(i * x.ldc + j)];
                                                  ++times[static_cast<std::size_t>(i * x.ldc + j)];
                                                }
                                            });
      if (b)
        cohort::ops::matmul_bias<false, true>(device, m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb,
                                              b, plain.data(), x.ldc);
      else
        cohort::ops::matmul<false, true>(device, m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb,
                                         0.0f, plain.data(), x.ldc);
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
          const auto at = static_cast<std::size_t>(i * x.ldc + j);
          REQUIRE(times[at] == 1);
          REQUIRE(copy[at] == plain[at]);
        }
    }
  }
}

TEST_CASE_TEMPLATE("matmul: 16-bit operands, a 16-bit or float result, bias and callback", T,
                   cohort::bf16, cohort::fp16) {
  using cohort::ops::matmul, cohort::ops::matmul_bias, cohort::ops::matmul_then;
  const Cpu<cohort::TiledGemm> device;
  const int m = 29, n = 70, k = 300;
  const gemm_test::NarrowProblem<false, true, T, T> x(m, n, k);
  std::vector<T> c = x.c, biased = x.c, then = x.c;
  std::vector<float> wide(x.c.size());
  matmul<false, true>(device, m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb, 1, c.data(), x.ldc);
  CHECK(x.worst(c, 1.0f, false) <= 1);
  matmul_bias<false, true>(device, m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb, x.bias.data(),
                           biased.data(), x.ldc);
  CHECK(x.worst(biased, 0.0f, true) <= 1);
  int elements = 0;
  matmul_then<false, true>(device, m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb, x.bias.data(),
                           then.data(), x.ldc,
                           [&](int, int rows, int, int columns) { elements += rows * columns; });
  CHECK(elements == m * n);
  matmul_bias<false, true>(device, m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb, x.bias.data(),
                           wide.data(), x.ldc);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      const auto at = x.at(i, j, x.ldc);
      REQUIRE(then[at].bits == biased[at].bits);
      REQUIRE(T(wide[at]).bits == biased[at].bits);
    }
}

namespace {

/// A backend with nothing but multiply.
struct Plain {
  template <bool TransA, bool TransB, class T, class O = T>
  static void multiply(int m, int n, int k, const T* a, int lda, const T* b, int ldb,
                       cohort::accumulator_t<T> beta, O* c, int ldc) {
    cohort::TiledGemm::multiply<TransA, TransB, T, O>(m, n, k, a, lda, b, ldb, beta, c, ldc);
  }
};

template <class O, class T>
concept Stores = requires(const T* a, O* c) {
  cohort::ops::matmul<false, false>(Cpu<Plain>{}, 1, 1, 1, a, 1, a, 1, 0, c, 1);
};
static_assert(Stores<float, float> && Stores<double, double>);
static_assert(Stores<cohort::bf16, cohort::bf16> && Stores<float, cohort::bf16>);
static_assert(!Stores<cohort::fp16, cohort::bf16> && !Stores<double, float>);

}  // namespace

TEST_CASE(
    "matmul: a backend that only multiplies gives the same bits, bias and callback included") {
  const int m = 29, n = 70, k = 300;
  const gemm_test::NarrowProblem<false, true, cohort::bf16, cohort::bf16> x(m, n, k);
  std::vector<cohort::bf16> plain = x.c, fused = x.c;
  int elements = 0;
  const auto count = [&](int, int rows, int, int columns) { elements += rows * columns; };
  cohort::ops::matmul_then<false, true>(Cpu<Plain>{}, m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb,
                                        x.bias.data(), plain.data(), x.ldc, count);
  CHECK(elements == m * n);
  cohort::ops::matmul_bias<false, true>(Cpu<cohort::TiledGemm>{}, m, n, k, x.a.data(), x.lda,
                                        x.b.data(), x.ldb, x.bias.data(), fused.data(), x.ldc);
  for (std::size_t i = 0; i < plain.size(); ++i) REQUIRE(plain[i].bits == fused[i].bits);
}
