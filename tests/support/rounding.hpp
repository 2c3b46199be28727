// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/rounding.hpp: elements of every type as numbers, and how far one rounding may move them.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/core/dtype.hpp>
#include <type_traits>
#include <vector>

namespace cohort::testing {

/// An element as a number: what double(x) does, for the 16-bit types too.
template <class T> double value(T x) { return double(x); }
template <Float16 T> double value(T x) { return double(float(x)); }

/// The same numbers in another type: exact where that is wider, else rounded once.
template <class To, class From> std::vector<To> as(const std::vector<From>& v) {
  std::vector<To> out(v.size());
  for (std::size_t i = 0; i < v.size(); ++i) out[i] = To(accumulator_t<From>(v[i]));
  return out;
}

/// Half of the distance between 1 and the next T: the relative error of one rounding.
template <class T> inline constexpr double unit = sizeof(T) == 4 ? 5.9604645e-8 : 1.1102230e-16;
template <> inline constexpr double unit<bf16> = 0x1p-8;
template <> inline constexpr double unit<fp16> = 0x1p-11;

/// How far rounding to T moves a number of that size: half the distance of T's numbers there.
template <class T> double half_ulp(double size) {
  int exponent = 0;
  std::frexp(size, &exponent);  // size < 2^exponent
  return unit<T> * std::ldexp(0.5, std::max(exponent, std::is_same_v<T, fp16> ? -13 : -125));
}

/// The largest error of `got` in terms of what is allowed: `error` before the one rounding to T, and
/// that rounding. At most 1 for a kernel that computes that well and rounds once.
template <class T>
double once_rounded(const std::vector<T>& got, const std::vector<double>& want, double error) {
  double worst = got.size() == want.size() && !got.empty() ? 0 : INFINITY;
  for (std::size_t i = 0; i < got.size() && i < want.size(); ++i) {
    const double off = std::fabs(value(got[i]) - want[i]);
    const double share = off / (error + half_ulp<T>(std::fabs(want[i]) + error));
    if (!(share <= worst)) worst = share;
  }
  return worst;
}

/// Does T hold every one of these numbers? Sums in fp32 are hardly ever numbers of a 16-bit type.
template <Float16 T> bool holds_all(const std::vector<float>& v) {
  return std::all_of(v.begin(), v.end(), [](float x) { return float(T(x)) == x; });
}

}  // namespace cohort::testing
