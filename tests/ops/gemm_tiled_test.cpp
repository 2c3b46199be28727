// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_tiled_test.cpp: laws of the tiled matrix product.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_tiled.hpp>
#include <cstring>
#include <limits>
#include <vector>

#include "gemm_reference.hpp"

using cohort::TiledGemm;
using cohort::TiledGemmOf;
using gemm_test::Problem;

static_assert(TiledGemm::scratch_bytes<float> == 526336);  // what the plan's ledger lists
static_assert(TiledGemm::scratch_bytes<double> == 526336);

namespace {

/// The product of `rows` rows from first and `columns` columns from left alone, from operands
/// copied to other places with other leading dimensions and alignment.
template <bool TransA, bool TransB>
std::vector<float> part(const Problem<TransA, TransB, float>& x, int first, int rows, int left,
                        int columns, float beta, int shift) {
  const int lda = (TransA ? rows : x.k) + shift, ldb = (TransB ? x.k : columns) + shift;
  std::vector<float> a((TransA ? x.k : rows) * lda + shift),
      b((TransB ? columns : x.k) * ldb + shift);
  std::vector<float> c(rows * columns + shift);
  for (int p = 0; p < x.k; ++p) {
    for (int i = 0; i < rows; ++i)
      a[shift + (TransA ? p * lda + i : i * lda + p)] = x.left(first + i, p);
    for (int j = 0; j < columns; ++j)
      b[shift + (TransB ? j * ldb + p : p * ldb + j)] = x.right(p, left + j);
  }
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j)
      c[shift + i * columns + j] = x.c[(first + i) * x.ldc + left + j];
  }
  TiledGemm::multiply<TransA, TransB, float>(rows, columns, x.k, a.data() + shift, lda,
                                             b.data() + shift, ldb, beta, c.data() + shift,
                                             columns);
  return {c.begin() + shift, c.end()};
}

template <bool TransA, bool TransB> bool parts_equal_whole(int m, int n, int k) {
  const Problem<TransA, TransB, float> x(m, n, k);
  for (const float beta : {0.0f, 1.0f}) {
    std::vector<float> whole = x.c;
    TiledGemm::multiply<TransA, TransB, float>(m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb, beta,
                                               whole.data(), x.ldc);
    for (int rows : {1, 2, 5, 7, m / 2}) {
      for (int columns : {1, 3, n / 2 + 1, n}) {
        const int first = m - rows, left = n - columns, shift = rows % 4;
        const auto c = part(x, first, rows, left, columns, beta, shift);
        for (int i = 0; i < rows; ++i) {
          if (std::memcmp(&c[i * columns], &whole[(first + i) * x.ldc + left],
                          columns * sizeof(float)) != 0) {
            return false;
          }
        }
      }
    }
  }
  return true;
}

}  // namespace

TEST_CASE_TEMPLATE("TiledGemm: equals the exact product within (k + 3) eps, at small and odd sizes",
                   T, float, double) {
  CHECK(gemm_test::worst_of_all<TiledGemm, T>({1, 2, 7, 13, 33, 65}) <= 1);
}

TEST_CASE(
    "TiledGemm: equals the exact product across blocks of k, panels of n and packing choices") {
  CHECK(gemm_test::worst_of<TiledGemm, false, false, float>({5, 257, 600}) <= 1);
  CHECK(gemm_test::worst_of<TiledGemm, true, true, float>({5, 257, 600}) <= 1);
  const Problem<false, false, float> tall(1030, 40, 300);  // more rows than read b in place
  std::vector<float> c = tall.c;
  TiledGemm::multiply<false, false, float>(1030, 40, 300, tall.a.data(), tall.lda, tall.b.data(),
                                           tall.ldb, 1.0f, c.data(), tall.ldc);
  CHECK(tall.worst(c, 1.0f) <= 1);
}

TEST_CASE("TiledGemm: narrower registers are as right") {
  CHECK(gemm_test::worst_of_all<TiledGemmOf<16>, float>({1, 7, 33}) <= 1);
#if defined(__AVX2__)
  CHECK(gemm_test::worst_of_all<TiledGemmOf<32>, float>({1, 7, 33}) <= 1);
#endif
}

TEST_CASE("TiledGemm: a part of the rows and columns has the bits of the whole, wherever it lies") {
  CHECK(parts_equal_whole<false, true>(50, 70, 300));
  CHECK(parts_equal_whole<false, false>(50, 70, 300));
  CHECK(parts_equal_whole<true, false>(50, 70, 300));
  CHECK(parts_equal_whole<true, true>(50, 70, 300));
}

TEST_CASE("TiledGemm: reading b in place and packing it give the same bits") {
  // 1200 rows pack b, 600 read it in place.
  const Problem<false, false, float> x(1200, 48, 260);
  std::vector<float> whole = x.c, half = x.c;
  TiledGemm::multiply<false, false, float>(1200, 48, 260, x.a.data(), x.lda, x.b.data(), x.ldb,
                                           0.0f, whole.data(), x.ldc);
  for (int i : {0, 600}) {
    TiledGemm::multiply<false, false, float>(600, 48, 260, x.a.data() + i * x.lda, x.lda,
                                             x.b.data(), x.ldb, 0.0f, half.data() + i * x.ldc,
                                             x.ldc);
  }
  CHECK(std::memcmp(whole.data(), half.data(), whole.size() * sizeof(float)) == 0);
}

TEST_CASE("TiledGemm: beta 0 does not read c, empty sizes do what beta says") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> a(4, 1.0f), b(4, 1.0f), c(4, nan);
  TiledGemm::multiply<false, false, float>(2, 2, 0, a.data(), 2, b.data(), 2, 0.0f, c.data(), 2);
  CHECK(c == std::vector<float>(4, 0.0f));
  c.assign(4, 3.0f);
  TiledGemm::multiply<false, false, float>(2, 2, 0, a.data(), 2, b.data(), 2, 1.0f, c.data(), 2);
  CHECK(c == std::vector<float>(4, 3.0f));
  TiledGemm::multiply<false, false, float>(2, 2, 0, a.data(), 2, b.data(), 2, 0.5f, c.data(), 2);
  CHECK(c == std::vector<float>(4, 1.5f));
  TiledGemm::multiply<true, true, float>(0, 2, 2, a.data(), 2, b.data(), 2, 0.0f, c.data(), 2);
  TiledGemm::multiply<true, true, float>(2, 0, 2, a.data(), 2, b.data(), 2, 0.0f, c.data(), 2);
  CHECK(c == std::vector<float>(4, 1.5f));
}

TEST_CASE("TiledGemm: NaN and infinity in a row of a stay in that row of c") {
  const int m = 14, n = 40, k = 20;
  std::vector<float> a(m * k, 1.0f), b(k * n, 1.0f), c(m * n);
  a[3 * k + 7] = std::numeric_limits<float>::quiet_NaN();
  a[9 * k] = std::numeric_limits<float>::infinity();
  TiledGemm::multiply<false, false, float>(m, n, k, a.data(), k, b.data(), n, 0.0f, c.data(), n);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      CHECK(std::isnan(c[i * n + j]) == (i == 3));
      CHECK(std::isinf(c[i * n + j]) == (i == 9));
    }
  }
}
