// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/support.hpp: what the tests of ops share: random arrays, comparison of bits, a device.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/device/cpu.hpp>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "support/rounding.hpp"

namespace cohort::testing {

struct NoGemm {};  // the ops tested here multiply no matrices
inline constexpr Cpu<NoGemm> cpu{};

template <class T> std::vector<T> normal(std::size_t n, int seed, double deviation = 1.0) {
  std::mt19937_64 engine(static_cast<unsigned>(seed));
  std::normal_distribution<double> draw(0.0, deviation);
  std::vector<T> v(n);
  for (T& x : v) x = T(draw(engine));
  return v;
}

inline std::vector<std::int32_t> integers(std::size_t n, int below, int seed) {
  std::mt19937_64 engine(static_cast<unsigned>(seed));
  std::uniform_int_distribution<std::int32_t> draw(0, below - 1);
  std::vector<std::int32_t> v(n);
  for (auto& x : v) x = draw(engine);
  return v;
}

template <class T> bool same_bits(const T* a, const T* b, std::size_t n) {
  return n == 0 || std::memcmp(a, b, n * sizeof(T)) == 0;
}
template <class T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && same_bits(a.data(), b.data(), a.size());
}

template <class T, class R>
double max_error(const std::vector<T>& got, const std::vector<R>& want) {
  double worst = got.size() == want.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < got.size() && i < want.size(); ++i) {
    const double error = std::fabs(value(got[i]) - value(want[i]));
    if (!(error <= worst)) worst = error;  // NaN becomes the answer, and no test accepts it
  }
  return worst;
}

/// (f(x + h e_i) - f(x - h e_i)) / 2h for every i. f is smooth at x: the error is h^2 f''' / 6 + unit f / h.
template <class F>
std::vector<double> finite_differences(std::vector<double> x, F f, double h = 1e-5) {
  std::vector<double> slope(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    x[i] = at + h;
    const double above = f(x);
    x[i] = at - h;
    slope[i] = (above - f(x)) / (2 * h);
    x[i] = at;
  }
  return slope;
}

template <class T> double dot(const std::vector<T>& a, const std::vector<T>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * double(b[i]);
  return sum;
}

}  // namespace cohort::testing
