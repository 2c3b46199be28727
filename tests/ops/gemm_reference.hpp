// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_reference.hpp: matrix products in long double, and inputs for them.
#pragma once
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <vector>

namespace gemm_test {

/// One product with its operands; leading dimensions exceed the rows by `gap` elements of NaN.
template <bool TransA, bool TransB, class T>
struct Problem {
  int m, n, k, lda, ldb, ldc;
  std::vector<T> a, b, c;

  Problem(int m_, int n_, int k_, int gap = 3)
      : m(m_), n(n_), k(k_), lda((TransA ? m : k) + gap), ldb((TransB ? k : n) + gap),
        ldc(n + gap) {
    std::mt19937 random(static_cast<unsigned>(m * 7919 + n * 104729 + k));
    a = filled(TransA ? k : m, TransA ? m : k, lda, random);
    b = filled(TransB ? n : k, TransB ? k : n, ldb, random);
    c = filled(m, n, ldc, random);
  }

  T left(int i, int p) const { return TransA ? at(a, p, i, lda) : at(a, i, p, lda); }
  T right(int p, int j) const { return TransB ? at(b, j, p, ldb) : at(b, p, j, ldb); }

  /// The largest |result - exact| over its bound, exact in double or wider.
  /// A sum of k products, in any order, added to beta c and bias, is off by at most
  /// (k + 3) eps (sum |a||b| + |beta c| + |bias|) (Higham 2002, eq. 3.5, and eps is twice u).
  double worst(const std::vector<T>& result, T beta, const T* bias = nullptr) const {
    double most = 0;
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        long double sum = beta == T(0) ? 0.0L : static_cast<long double>(beta) * at(c, i, j, ldc);
        long double size = std::fabs(sum);
        if (bias) sum += bias[j], size += std::fabs(bias[j]);
        for (int p = 0; p < k; ++p) {
          const long double term = static_cast<long double>(left(i, p)) * right(p, j);
          sum += term;
          size += std::fabs(term);
        }
        const long double bound =
            (k + 3) * std::numeric_limits<T>::epsilon() * size + std::numeric_limits<T>::min();
        const double ratio = static_cast<double>(std::fabs(sum - at(result, i, j, ldc)) / bound);
        if (!(ratio <= most)) most = ratio;  // a NaN result ends here and stays
      }
    }
    return most;
  }

  /// The gap behind every row of c still holds what it held.
  bool gap_untouched(const std::vector<T>& result) const {
    for (int i = 0; i < m; ++i) {
      for (int j = n; j < ldc; ++j) {
        if (!std::isnan(at(result, i, j, ldc))) return false;
      }
    }
    return true;
  }

 private:
  static T at(const std::vector<T>& x, int i, int j, int ld) {
    return x[static_cast<std::size_t>(i) * static_cast<std::size_t>(ld) + static_cast<std::size_t>(j)];
  }
  static std::vector<T> filled(int rows, int columns, int ld, std::mt19937& random) {
    std::vector<T> out(static_cast<std::size_t>(rows) * static_cast<std::size_t>(ld),
                       std::numeric_limits<T>::quiet_NaN());
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        out[static_cast<std::size_t>(i) * static_cast<std::size_t>(ld) + static_cast<std::size_t>(j)] =
            static_cast<T>(uniform(random));
      }
    }
    return out;
  }
};

/// The worst ratio (see Problem::worst) of one backend over a list of shapes and beta 0, 1, 0.5.
template <class Gemm, bool TransA, bool TransB, class T>
double worst_of(const std::vector<int>& sizes) {
  double most = 0;
  for (int m : sizes) {
    for (int n : sizes) {
      for (int k : sizes) {
        const Problem<TransA, TransB, T> x(m, n, k);
        for (const T beta : {T(0), T(1), T(0.5)}) {
          std::vector<T> c = x.c;
          if (beta == T(0)) c.assign(c.size(), std::numeric_limits<T>::quiet_NaN());
          Gemm::template multiply<TransA, TransB, T>(m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb,
                                                     beta, c.data(), x.ldc);
          const double ratio = x.gap_untouched(c) ? x.worst(c, beta) : 1e300;
          if (!(ratio <= most)) most = ratio;
        }
      }
    }
  }
  return most;
}

template <class Gemm, class T>
double worst_of_all(const std::vector<int>& sizes) {
  const double all[] = {worst_of<Gemm, false, false, T>(sizes), worst_of<Gemm, false, true, T>(sizes),
                        worst_of<Gemm, true, false, T>(sizes), worst_of<Gemm, true, true, T>(sizes)};
  double most = 0;
  for (const double x : all) {
    if (!(x <= most)) most = x;
  }
  return most;
}

}  // namespace gemm_test
