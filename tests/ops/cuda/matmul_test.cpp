// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/matmul_test.cpp: the product op on a GPU against the CPU's, with bias, and empty ones.
#include <cohort/ops/cuda/matmul.hpp>
#include <cohort/ops/default_gemm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <bool TA, bool TB, class T, class O> void check(int m, int n, int k) {
  CAPTURE(m);
  CAPTURE(k);
  Blas blas;
  const int lda = TA ? m : k, ldb = TB ? k : n;
  const auto a = normal<T>(std::size_t(m) * k, 1), b = normal<T>(std::size_t(k) * n, 2),
             bias = normal<T>(n, 3);
  GpuArray<T> a_there(a), b_there(b), bias_there(bias);
  // Both sum k terms below 25 and round once.
  const double error = 2 * (k + 2) * unit<accumulator_t<T>> * 25 * (k + 1);
  const auto near = [&](const std::vector<O>& got, const std::vector<O>& want) {
    bool good = true;
    for (std::size_t i = 0; i < got.size(); ++i)
      good = good && std::fabs(value(got[i]) - value(want[i])) <=
                         error + 2 * half_ulp<O>(std::fabs(value(want[i])) + error);
    return good;
  };
  for (const bool first : {true, false}) {
    auto c = before<O>(std::size_t(m) * n, first);
    GpuArray<O> c_there(c);
    const accumulator_t<T> beta = first ? 0 : 1;
    ops::matmul<TA, TB>(blas.device(), m, n, k, a_there.view(), lda, b_there.view(), ldb, beta,
                        c_there.data(), n);
    ops::matmul<TA, TB>(DefaultCpu{}, m, n, k, a.data(), lda, b.data(), ldb, beta, c.data(), n);
    CHECK(near(c_there.get(), c));
  }
  std::vector<O> c(std::size_t(m) * n);
  ops::matmul_bias<TA, TB>(DefaultCpu{}, m, n, k, a.data(), lda, b.data(), ldb, bias.data(),
                           c.data(), n);
  for (const bool fused : {true, false}) {
    cuda_double::support_epilogues(fused);
    Blas other;
    GpuArray<O> c_there(c.size());
    int calls = 0;
    ops::matmul_then<TA, TB>(other.device(), m, n, k, a_there.view(), lda, b_there.view(), ldb,
                             bias_there.view(), c_there.data(), n,
                             [&](int row, int rows, int column, int columns) {
                               ++calls;
                               CHECK((row == 0 && rows == m && column == 0 && columns == n));
                             });
    CHECK(calls == 1);
    CHECK(near(c_there.get(), c));
  }
  cuda_double::support_epilogues(true);
}
}  // namespace

TEST_CASE_TEMPLATE("matmul on a GPU: what the CPU gives, with a bias fused or not", T, float,
                   double, bf16, fp16) {
  for (int k : {1, 8, 33, 0}) {
    check<false, true, T, T>(5, 6, k);
    check<false, false, T, T>(3, 16, k);
    check<true, false, T, accumulator_t<T>>(7, 2, k);
  }
}

TEST_CASE("matmul on a GPU: no rows or columns do nothing, not even ask cuBLASLt") {
  cuda_double::reset();
  Blas blas;
  GpuArray<float> c(1);
  ops::matmul<false, true>(blas.device(), 0, 4, 4, c.view(), 4, c.view(), 4, 0.0f, c.data(), 4);
  ops::matmul_bias<false, true>(blas.device(), 4, 0, 4, c.view(), 4, c.view(), 4, c.view(),
                                c.data(), 1);
  CHECK(cuda_double::calls("cublasLtMatmul") == 0);
  CHECK(cuda_double::calls("launch") == 0);
}
