// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/matmul_test.cpp: laws of the matrix product as an op of the device.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_eigen.hpp>
#include <cohort/ops/gemm_tiled.hpp>
#include <cohort/ops/matmul.hpp>
#include <vector>

#include "gemm_reference.hpp"

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
