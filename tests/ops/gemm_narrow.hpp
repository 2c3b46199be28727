// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_narrow.hpp: laws that every product of 16-bit types keeps, and their checks.
#pragma once
#include <sys/mman.h>

#include <array>
#include <cohort/core/dtype.hpp>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "gemm_reference.hpp"

namespace gemm_test {

inline double value(float x) { return x; }
inline double value(cohort::bf16 x) { return float(x); }
inline double value(cohort::fp16 x) { return float(x); }

/// Half of the distance between neighbours of x in T, at least that of the smallest numbers.
template <class T> double half_ulp(double x) {
  constexpr int digits = std::is_same_v<T, float> ? 24 : std::is_same_v<T, cohort::bf16> ? 8 : 11;
  constexpr int least = std::is_same_v<T, cohort::fp16> ? -14 : -126;
  const int exponent = x == 0 ? least : std::max(least, std::ilogb(x));
  return std::ldexp(1.0, exponent - digits);
}

/// A product of 16-bit numbers; leading dimensions exceed the rows by `gap` elements of NaN.
template <bool TransA, bool TransB, class T, class O> struct NarrowProblem {
  int m, n, k, lda, ldb, ldc;
  std::vector<T> a, b, bias;
  std::vector<O> c;

  NarrowProblem(int m_, int n_, int k_, int gap = 3)
      : m(m_),
        n(n_),
        k(k_),
        lda((TransA ? m : k) + gap),
        ldb((TransB ? k : n) + gap),
        ldc(n + gap) {
    std::mt19937 random(static_cast<unsigned>(m * 7919 + n * 104729 + k));
    a = filled<T>(TransA ? k : m, TransA ? m : k, lda, random);
    b = filled<T>(TransB ? n : k, TransB ? k : n, ldb, random);
    c = filled<O>(m, n, ldc, random);
    bias = filled<T>(1, n, n, random);
  }

  T left(int i, int p) const { return TransA ? a[at(p, i, lda)] : a[at(i, p, lda)]; }
  T right(int p, int j) const { return TransB ? b[at(j, p, ldb)] : b[at(p, j, ldb)]; }
  static std::size_t at(int i, int j, int ld) {
    return static_cast<std::size_t>(i) * static_cast<std::size_t>(ld) + static_cast<std::size_t>(j);
  }

  /// The largest |result - exact| over its bound. A float sum of k products, beta c and bias is off
  /// by (k + 3) 2^-24 (sum |a||b| + |beta c| + |bias|) at most (Higham 2002, eq. 3.5: n + 2 additions,
  /// n + 1 of them rounded; beta c once more), then storing rounds once.
  /// Kernels may flush numbers below 2^-126 to zero.
  double worst(const std::vector<O>& result, float beta, bool biased) const {
    double most = 0;
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        double sum = beta == 0.0f ? 0.0 : double(beta) * value(c[at(i, j, ldc)]);
        double size = std::fabs(sum);
        if (biased) {
          sum += value(bias[static_cast<std::size_t>(j)]);
          size += std::fabs(value(bias[static_cast<std::size_t>(j)]));
        }
        for (int p = 0; p < k; ++p) {
          const double term = value(left(i, p)) * value(right(p, j));
          sum += term;
          size += std::fabs(term);
        }
        const double flushed = (k + 3) * 0x1p-126;
        const double summing = (k + 3) * 0x1p-24 * size + flushed;
        const double storing = std::is_same_v<O, float> ? 0 : half_ulp<O>(std::fabs(sum) + summing);
        const double ratio = std::fabs(sum - value(result[at(i, j, ldc)])) / (summing + storing);
        if (std::isnan(ratio)) return std::numeric_limits<double>::infinity();
        most = std::max(most, ratio);
      }
    }
    return most;
  }

  /// The gap behind every row of c still holds what it held.
  bool gap_untouched(const std::vector<O>& result) const {
    for (int i = 0; i < m; ++i) {
      if (n < ldc && std::memcmp(&result[at(i, n, ldc)], &c[at(i, n, ldc)],
                                 static_cast<std::size_t>(ldc - n) * sizeof(O)) != 0)
        return false;
    }
    return true;
  }

 private:
  template <class E>
  static std::vector<E> filled(int rows, int columns, int ld, std::mt19937& random) {
    std::vector<E> out(at(rows, 0, ld), E(std::numeric_limits<float>::quiet_NaN()));
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) out[at(i, j, ld)] = E(uniform(random));
    }
    return out;
  }
};

/// The worst ratio over shapes, beta 0, 1, 0.5, and a bias, of Gemm::multiply and multiply_bias.
template <class Gemm, bool TransA, bool TransB, class T, class O>
double narrow_worst(const std::vector<int>& rows, const std::vector<int>& columns,
                    const std::vector<int>& depths) {
  constexpr double bad = std::numeric_limits<double>::infinity();
  double most = 0;
  for (int m : rows) {
    for (int n : columns) {
      for (int k : depths) {
        const NarrowProblem<TransA, TransB, T, O> x(m, n, k);
        for (const float beta : {0.0f, 1.0f, 0.5f}) {
          std::vector<O> c = x.c;
          if (beta == 0.0f) {
            for (int i = 0; i < m; ++i)
              std::fill_n(&c[x.at(i, 0, x.ldc)], n, O(std::numeric_limits<float>::quiet_NaN()));
          }
          Gemm::template multiply<TransA, TransB, T, O>(m, n, k, x.a.data(), x.lda, x.b.data(),
                                                        x.ldb, beta, c.data(), x.ldc);
          most = std::max(most, x.gap_untouched(c) ? x.worst(c, beta, false) : bad);
        }
        std::vector<O> c = x.c;
        Gemm::template multiply_bias<TransA, TransB, T, O>(m, n, k, x.a.data(), x.lda, x.b.data(),
                                                           x.ldb, x.bias.data(), c.data(), x.ldc);
        most = std::max(most, x.gap_untouched(c) ? x.worst(c, 0.0f, true) : bad);
      }
    }
  }
  return most;
}

template <class Gemm, class T, class O>
double narrow_worst_of_all(const std::vector<int>& rows, const std::vector<int>& columns,
                           const std::vector<int>& depths) {
  return std::max({narrow_worst<Gemm, false, false, T, O>(rows, columns, depths),
                   narrow_worst<Gemm, false, true, T, O>(rows, columns, depths),
                   narrow_worst<Gemm, true, false, T, O>(rows, columns, depths),
                   narrow_worst<Gemm, true, true, T, O>(rows, columns, depths)});
}

/// Rows from `first`, columns from `from`, copied to other places with other leading dimensions and
/// alignment, have the bits that they have in the whole.
template <class Gemm, bool TransA, bool TransB, class T, class O>
bool part_has_bits(const NarrowProblem<TransA, TransB, T, O>& x, const std::vector<O>& whole,
                   int first, int rows, int from, int columns, float beta, int shift) {
  const int lda = (TransA ? rows : x.k) + shift, ldb = (TransB ? x.k : columns) + shift;
  const auto size = [&](int n, int ld) { return x.at(n, shift, ld); };
  std::vector<T> a(size(TransA ? x.k : rows, lda)), b(size(TransB ? columns : x.k, ldb));
  std::vector<O> c(size(rows, columns));
  for (int p = 0; p < x.k; ++p) {
    for (int i = 0; i < rows; ++i)
      a[x.at(TransA ? p : i, shift + (TransA ? i : p), lda)] = x.left(first + i, p);
    for (int j = 0; j < columns; ++j)
      b[x.at(TransB ? j : p, shift + (TransB ? p : j), ldb)] = x.right(p, from + j);
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j)
      c[x.at(i, shift + j, columns)] = x.c[x.at(first + i, from + j, x.ldc)];
  Gemm::template multiply<TransA, TransB, T, O>(rows, columns, x.k, a.data() + shift, lda,
                                                b.data() + shift, ldb, beta, c.data() + shift,
                                                columns);
  for (int i = 0; i < rows; ++i) {
    if (std::memcmp(&c[x.at(i, shift, columns)], &whole[x.at(first + i, from, x.ldc)],
                    static_cast<std::size_t>(columns) * sizeof(O)) != 0)
      return false;
  }
  return true;
}

template <class Gemm, bool TransA, bool TransB, class T, class O>
bool parts_have_bits(int m, int n, int k) {
  const NarrowProblem<TransA, TransB, T, O> x(m, n, k);
  for (const float beta : {0.0f, 1.0f}) {
    std::vector<O> whole = x.c;
    Gemm::template multiply<TransA, TransB, T, O>(m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb,
                                                  beta, whole.data(), x.ldc);
    for (int rows : {1, 5, 17, 32, m / 2})
      for (int columns : {1, 15, 33, n})
        for (int last : {0, 1})  // the first or the last rows and columns
          if (!part_has_bits<Gemm>(x, whole, last * (m - rows), rows, last * (n - columns), columns,
                                   beta, last * (rows % 4)))
            return false;
  }
  return true;
}

template <class Gemm, class T, class O> bool all_parts_have_bits(int m, int n, int k) {
  return parts_have_bits<Gemm, false, false, T, O>(m, n, k) &&
         parts_have_bits<Gemm, false, true, T, O>(m, n, k) &&
         parts_have_bits<Gemm, true, false, T, O>(m, n, k) &&
         parts_have_bits<Gemm, true, true, T, O>(m, n, k);
}

/// Float sums over steps 0..k of k in pieces cut at `cuts`, each added to the one before, have the bits
/// of the whole, and the product that ends in T is the float sum rounded once.
template <class Gemm, bool TransA, bool TransB, class T>
bool pieces_compose(int m, int n, int k, const std::vector<int>& cuts) {
  const NarrowProblem<TransA, TransB, T, float> x(m, n, k);
  std::vector<float> whole = x.c, pieces = x.c;
  std::vector<T> rounded(x.c.size());
  Gemm::template multiply<TransA, TransB, T, float>(m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb,
                                                    0.0f, whole.data(), x.ldc);
  Gemm::template multiply<TransA, TransB, T, T>(m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb, 0.0f,
                                                rounded.data(), x.ldc);
  int begin = 0;
  for (int end : cuts) {
    const T* a = x.a.data() + (TransA ? x.at(begin, 0, x.lda) : x.at(0, begin, 0));
    const T* b = x.b.data() + (TransB ? x.at(0, begin, 0) : x.at(begin, 0, x.ldb));
    Gemm::template multiply<TransA, TransB, T, float>(m, n, end - begin, a, x.lda, b, x.ldb,
                                                      begin ? 1.0f : 0.0f, pieces.data(), x.ldc);
    begin = end;
  }
  bool same = begin == k && std::memcmp(whole.data(), pieces.data(), whole.size() * 4) == 0;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j)
      same = same && rounded[x.at(i, j, x.ldc)].bits == T(whole[x.at(i, j, x.ldc)]).bits;
  return same;
}

/// A block of memory between two pages that may not be touched; `end`: it ends where the second begins.
template <class T> class Guarded {
 public:
  Guarded(std::size_t n, bool end) : pages_((n * sizeof(T) + page - 1) / page * page) {
    base_ = static_cast<char*>(mmap(nullptr, pages_ + 2 * page, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_, page, PROT_NONE);
    mprotect(base_ + page + pages_, page, PROT_NONE);
    data_ = reinterpret_cast<T*>(base_ + page + (end ? pages_ - n * sizeof(T) : 0));
  }
  ~Guarded() { munmap(base_, pages_ + 2 * page); }
  Guarded(const Guarded&) = delete;
  T* data() { return data_; }

 private:
  static constexpr std::size_t page = 4096;
  std::size_t pages_;
  char* base_;
  T* data_;
};

/// Reads and writes nothing outside the matrices: else this ends the process.
template <class Gemm, bool TransA, bool TransB, class T, class O> void stays_inside() {
  for (const auto& [m, n, k] : {std::array{1, 1, 1}, {33, 47, 65}, {32, 32, 32}, {70, 31, 600}}) {
    for (bool end : {false, true}) {
      const auto size = [](int r, int c) { return static_cast<std::size_t>(r * c); };
      Guarded<T> a(size(m, k), end), b(size(k, n), end), bias(size(1, n), end);
      Guarded<O> c(size(m, n), end);
      for (float beta : {0.0f, 1.0f})
        Gemm::template multiply<TransA, TransB, T, O>(m, n, k, a.data(), TransA ? m : k, b.data(),
                                                      TransB ? k : n, beta, c.data(), n);
      Gemm::template multiply_bias<TransA, TransB, T, O>(
          m, n, k, a.data(), TransA ? m : k, b.data(), TransB ? k : n, bias.data(), c.data(), n);
    }
  }
}

template <class Gemm, class T> void all_stay_inside() {
  stays_inside<Gemm, false, false, T, T>();
  stays_inside<Gemm, false, true, T, T>();
  stays_inside<Gemm, true, false, T, float>();
  stays_inside<Gemm, true, true, T, float>();
}

/// NaN and infinity in a row of a stay in that row of c.
template <class Gemm, class T, class O> bool rows_stay_apart() {
  const int m = 40, n = 50, k = 70;
  std::vector<T> a(m * k, T(1.0f)), b(k * n, T(1.0f));
  std::vector<O> c(m * n);
  a[3 * k + 69] = T(std::numeric_limits<float>::quiet_NaN());
  a[35 * k] = T(std::numeric_limits<float>::infinity());
  Gemm::template multiply<false, false, T, O>(m, n, k, a.data(), k, b.data(), n, 0.0f, c.data(), n);
  bool good = true;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      const double x = value(c[static_cast<std::size_t>(i * n + j)]);
      good = good && (i == 3 ? std::isnan(x) : i == 35 ? std::isinf(x) : x == k);
    }
  return good;
}

/// Every element is handed to `done` once, when it is final.
template <class Gemm, class T> bool pieces_cover(int m, int n, int k) {
  const NarrowProblem<false, true, T, T> x(m, n, k);
  std::vector<T> c = x.c, copy = x.c, plain = x.c;
  std::vector<int> times(x.c.size());
  Gemm::template multiply_then<false, true, T, T>(
      m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb, x.bias.data(), c.data(), x.ldc,
      [&](int row, int rows, int column, int columns) {
        for (int i = row; i < row + rows; ++i)
          for (int j = column; j < column + columns; ++j)
            copy[x.at(i, j, x.ldc)] = c[x.at(i, j, x.ldc)], ++times[x.at(i, j, x.ldc)];
      });
  Gemm::template multiply_bias<false, true, T, T>(m, n, k, x.a.data(), x.lda, x.b.data(), x.ldb,
                                                  x.bias.data(), plain.data(), x.ldc);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j)
      if (times[x.at(i, j, x.ldc)] != 1 ||
          copy[x.at(i, j, x.ldc)].bits != plain[x.at(i, j, x.ldc)].bits)
        return false;
  return true;
}

}  // namespace gemm_test
