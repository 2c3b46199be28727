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

namespace cohort::testing {

/// PyTorch's inputs and float64 results (tests/golden/ops_golden.py).
inline const golden::Golden& pytorch() {
  static const golden::Golden file = golden::Golden::load(COHORT_TEST_DIR "/golden/ops.bin");
  return file;
}
template <class T> std::vector<T> given(const std::string& name) { return pytorch().as<T>(name); }

/// Half of the distance between 1 and the next T: the relative error of one rounding.
template <class T> inline constexpr double unit = sizeof(T) == 4 ? 5.9604645e-8 : 1.1102230e-16;

template <class T> double largest(const std::vector<T>& v) {
  double most = 0;
  for (T x : v) most = std::max(most, std::abs(double(x)));
  return most;
}
template <class T, class R> double distance(const std::vector<T>& a, const std::vector<R>& b) {
  double most = a.size() == b.size() && !a.empty() ? 0 : HUGE_VAL;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double error = std::abs(double(a[i]) - double(b[i]));
    if (!(error <= most)) most = error;  // NaN too
  }
  return most;
}
template <class T> double distance(const std::vector<T>& ours, const std::string& pytorchs) {
  return distance(ours, pytorch().values(pytorchs));
}

/// The first contribution overwrites what was in g, a second one adds to it.
template <class L> void check_accumulates(Rows rows) {
  using One = zoo::OneLayer<L>;
  const auto count = static_cast<std::size_t>(rows.count());
  std::vector<typename One::X> x(count, 1);
  if constexpr (!One::takes_tokens) x = zoo::normals(count * L::Input::extent, 1);
  const auto dy = zoo::normals(count * L::Output::extent, 2);
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

}  // namespace cohort::testing
