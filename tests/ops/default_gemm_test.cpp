// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/default_gemm_test.cpp: what every run relies on in its matrix product.
#include <doctest/doctest.h>
#include <cohort/ops/default_gemm.hpp>

#include <vector>

#include "support.hpp"
#include "support/allocations.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
static_assert(std::is_empty_v<DefaultGemm> && std::is_same_v<DefaultCpu::gemm, DefaultGemm>);
static_assert(std::is_empty_v<DefaultCpu>);

/// C = A B + beta C for the sizes and transpositions that layers use; A holds m x k, B k x n.
template <bool TransA, bool TransB, class T> struct Product {
  int m, n, k;
  std::vector<T> a, b, c;
  Product(int m, int n, int k)
      : m(m),
        n(n),
        k(k),
        a(normal<T>(std::size_t(m) * k, 1)),
        b(normal<T>(std::size_t(k) * n, 2)),
        c(std::size_t(m) * n, std::numeric_limits<T>::quiet_NaN()) {}
  T at_a(int i, int p) const {
    return TransA ? a[std::size_t(p) * m + i] : a[std::size_t(i) * k + p];
  }
  T at_b(int p, int j) const {
    return TransB ? b[std::size_t(j) * k + p] : b[std::size_t(p) * n + j];
  }
  void run(T beta) {
    cohort::ops::matmul<TransA, TransB>(DefaultCpu{}, m, n, k, a.data(), TransA ? m : k, b.data(),
                                        TransB ? k : n, beta, c.data(), n);
  }
  /// The sum in fp64 and the sum of its terms' sizes.
  std::pair<double, double> exact(int i, int j) const {
    double sum = 0, size = 0;
    for (int p = 0; p < k; ++p) {
      const double term = double(at_a(i, p)) * double(at_b(p, j));
      sum += term;
      size += std::fabs(term);
    }
    return {sum, size};
  }
};

template <bool TransA, bool TransB, class T> void check_product(int m, int n, int k) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  Product<TransA, TransB, T> p(m, n, k);
  p.run(T(0));  // over NaN: beta = 0 must not read C
  const auto once = p.c;
  p.run(T(1));
  bool good = true, added = true;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      const auto [sum, size] = p.exact(i, j);
      const std::size_t at = std::size_t(i) * n + j;
      // k products and sums in any order: k units of their sizes; our fp64 reference as many.
      const double tolerance = (k + 1) * (unit<T> + unit<double>)*size;
      good = good && std::fabs(once[at] - sum) <= tolerance;
      added = added && std::fabs(p.c[at] - 2 * sum) <= 2 * tolerance + unit<T> * 2 * std::fabs(sum);
    }
  CHECK(good);
  CHECK(added);
}
}  // namespace

TEST_CASE_TEMPLATE("default_gemm: products of all shapes agree with fp64 sums", T, float, double) {
  const int shapes[][3] = {{1, 1, 1},   {2, 3, 5},    {12, 32, 8},  {13, 33, 7},   {1, 70, 300},
                           {70, 1, 64}, {48, 65, 17}, {5, 600, 20}, {64, 128, 130}};
  for (const auto& [m, n, k] : shapes) {
    check_product<false, false, T>(m, n, k);
    check_product<false, true, T>(m, n, k);
    check_product<true, false, T>(m, n, k);
  }
}

TEST_CASE("default_gemm: a row's bits do not depend on how many rows are around it") {
  constexpr int n = 70, k = 300;
  Product<false, true, float> all(31, n, k);
  all.run(0);
  for (int first : {0, 7, 30})
    for (int rows : {1, 5, 13}) {
      if (first + rows > 31) continue;
      Product<false, true, float> part(rows, n, k);
      part.b = all.b;
      part.a.assign(all.a.begin() + first * k, all.a.begin() + (first + rows) * k);
      part.run(0);
      CHECK(same_bits(part.c.data(), all.c.data() + first * n, part.c.size()));
    }
}

TEST_CASE("default_gemm: no product reaches the heap") {
  if (!test::Allocations::available) return;
  Product<false, true, float> forward(48, 512, 128);
  Product<false, false, float> dx(48, 128, 512);
  Product<true, false, float> dw(512, 128, 48);
  test::Allocations count;
  forward.run(0);
  dx.run(0);
  dw.run(1);
  count.stop();
  CHECK(count.all_threads().count == 0);
}

TEST_CASE_TEMPLATE("default_gemm: no product of 16-bit types reaches the heap", T, bf16, fp16) {
  if (!test::Allocations::available) return;
  const std::vector<T> x(512 * 300, T(1.0f));
  std::vector<float> sums(512 * 128);
  std::vector<T> rounded(48 * 512);
  test::Allocations count;
  ops::matmul<true, false>(DefaultCpu{}, 512, 128, 48, x.data(), 512, x.data(), 128, 0, sums.data(),
                           128);
  ops::matmul<false, true>(DefaultCpu{}, 48, 512, 300, x.data(), 300, x.data(), 300, 0,
                           rounded.data(), 512);
  ops::matmul<false, false>(DefaultCpu{}, 48, 128, 600, x.data(), 600, x.data(), 128, 0,
                            rounded.data(), 128);
  count.stop();
  CHECK(count.all_threads().count == 0);
  CHECK(sums[0] == 48);
}
