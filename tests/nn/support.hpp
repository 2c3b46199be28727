// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/support.hpp: what the tests of layers share: PyTorch's values, distances, accumulation.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cohort/run/check_gradients.hpp>
#include <string>
#include <vector>

#include "golden/golden.hpp"
#include "support/one_layer.hpp"
#include "support/rounding.hpp"

namespace cohort::testing {

/// PyTorch's inputs and float64 results (tests/golden/ops_golden.py).
inline const golden::Golden& pytorch() {
  static const golden::Golden file = golden::Golden::load(COHORT_TEST_DIR "/golden/ops.bin");
  return file;
}
template <class T> std::vector<T> given(const std::string& name) { return pytorch().as<T>(name); }

template <class T> double largest(const std::vector<T>& v) {
  double most = 0;
  for (T x : v) most = std::max(most, std::abs(value(x)));
  return most;
}
template <class T, class R> double distance(const std::vector<T>& a, const std::vector<R>& b) {
  double most = a.size() == b.size() && !a.empty() ? 0 : HUGE_VAL;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double error = std::abs(value(a[i]) - value(b[i]));
    if (!(error <= most)) most = error;  // NaN too
  }
  return most;
}
template <class T> double distance(const std::vector<T>& ours, const std::string& pytorchs) {
  return distance(ours, pytorch().values(pytorchs));
}

/// The first contribution overwrites what was in g, a second one adds to it.
template <class L, class T = float> void check_accumulates(Rows rows) {
  using One = zoo::OneLayer<L, T>;
  const auto count = static_cast<std::size_t>(rows.count());
  std::vector<typename One::X> x(count, typename One::X(1));
  if constexpr (!One::takes_tokens) x = zoo::normals<T>(count * L::Input::extent, 1);
  const auto dy = zoo::normals<T>(count * L::Output::extent, 2);
  One one(rows);
  one.draw(3);
  one.fill_gradients(99.0f);
  one.run(x, dy);
  std::vector<std::vector<float>> once;
  for (const auto& name : parameter_names<L>()) once.push_back(one.gradient(name));
  one.run(x, dy);
  std::size_t i = 0;
  for (const auto& name : parameter_names<L>()) {
    CAPTURE(name);
    std::vector<float> twice = once[i++];
    for (float& v : twice) v *= 2;
    // Sums of `count` terms, begun from the first result instead of zero: one rounding a term.
    const double tolerance = unit<float> * double(count + 1) * 2 * (1 + largest(twice));
    CHECK(distance(one.gradient(name), twice) <= tolerance);
    CHECK(largest(twice) > 0);
  }
  one.begin_step();
  one.run(x, dy);
  i = 0;
  for (const auto& name : parameter_names<L>()) CHECK(one.gradient(name) == once[i++]);
}

/// One layer in a 16-bit type and in double: the same rounded parameters, inputs and seeds. What a
/// test compares then are the roundings on the way, each as large as half_ulp says.
template <class L, Float16 T> struct InBoth {
  using X = typename zoo::OneLayer<L, T>::X;
  zoo::OneLayer<L, T> narrow;
  zoo::OneLayer<L, double> wide;
  std::vector<T> dy;
  double largest_x = 0, D = 0;

  /// Tokens, for a layer over them; else normal values are drawn.
  InBoth(Rows rows, std::vector<X> x = {}) : narrow(rows), wide(rows) {
    const auto count = static_cast<std::size_t>(rows.count());
    narrow.draw(3);
    for (const auto& name : parameter_names<L>())
      wide.set(name, as<double>(narrow.parameter(name)));
    if constexpr (!zoo::OneLayer<L, T>::takes_tokens) {
      if (x.empty()) x = zoo::normals<T>(count * L::Input::extent, 1);
      largest_x = largest(x);
    }
    dy = zoo::normals<T>(count * L::Output::extent, 2);
    D = largest(dy);
    narrow.fill_gradients(99.0f);
    narrow.run(x, dy);
    if constexpr (zoo::OneLayer<L, T>::takes_tokens)
      wide.run(x, as<double>(dy));
    else
      wide.run(as<double>(x), as<double>(dy));
    for (const auto& name : parameter_names<L>()) {
      static_assert(std::is_same_v<decltype(narrow.gradient(name)), std::vector<float>>);
      CAPTURE(name);
      CHECK(!holds_all<T>(narrow.gradient(name)));  // never was rounded to T
    }
  }
  double weight(const std::string& name) const { return largest(narrow.parameter(name)); }
  double gradient_error(const std::string& name) const {
    return distance(narrow.gradient(name), wide.gradient(name));
  }
  /// At most 1 when these errors before the last rounding were not exceeded.
  double y_share(double error) const { return once_rounded(narrow.y, wide.y, error); }
  double dx_share(double error) const { return once_rounded(narrow.dx, wide.dx, error); }
};

/// The error of a sum of n products of at most a and b in fp32, in any order.
inline double sum_error(int n, double a, double b) { return unit<float> * (n + 1) * n * a * b; }

}  // namespace cohort::testing
