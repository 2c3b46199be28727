// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/adamw_test.cpp: against the update in fp64, splits, decay flags.
#include <doctest/doctest.h>

#include <cohort/ops/adamw.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// torch.optim.adamw's single-tensor update, in fp64.
struct Reference {
  double p, m = 0, v = 0;
  void step(double g, const ops::AdamOptions& o, int t, bool decays) {
    if (decays) p *= 1 - o.learning_rate * o.weight_decay;
    m += (1 - o.beta1) * (g - m);
    v = v * o.beta2 + (1 - o.beta2) * g * g;
    const double denominator = std::sqrt(v) / std::sqrt(1 - std::pow(o.beta2, t)) + o.epsilon;
    p -= o.learning_rate / (1 - std::pow(o.beta1, t)) * m / denominator;
  }
};
}  // namespace

TEST_CASE_TEMPLATE("adamw: twenty steps follow PyTorch's update in fp64", T, float, double) {
  const std::size_t n = 64 * 3 + 21;
  const ops::AdamOptions o{.learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.99, .weight_decay = 0.1};
  auto p = normal<T>(n, 1);
  std::vector<T> m(n), v(n);
  const std::vector<std::uint8_t> decay = {1, 0, 1, 1};
  std::vector<Reference> want(n);
  for (std::size_t i = 0; i < n; ++i) want[i].p = double(p[i]);
  for (int t = 1; t <= 20; ++t) {
    const auto g = normal<T>(n, 100 + t);
    ops::adamw(cpu, n, p.data(), g.data(), m.data(), v.data(), decay.data(),
               ops::AdamStep<T>::make(o, t, 0.25));
    for (std::size_t i = 0; i < n; ++i) want[i].step(0.25 * double(g[i]), o, t, decay[i / 64] != 0);
  }
  // In a step p (below 4) is rounded once and multiplied by a rounded 1 - lr wd; the change is lr
  // times a number below 10, good to some ten units.
  const double tolerance = 20 * unit<T> * (2 * 4 + 10 * 1e-3 * 10);
  double worst = 0;
  for (std::size_t i = 0; i < n; ++i) worst = std::max(worst, std::fabs(double(p[i]) - want[i].p));
  CHECK(worst <= tolerance);
}

// m / (1 - beta1) = g and v / (1 - beta2) = g^2 after one step: the change is lr g / (|g| + epsilon).
TEST_CASE("adamw: the first step moves by the learning rate against the gradient's sign") {
  std::vector<double> p = {1.0, 1.0}, m(2), v(2);
  const std::vector<double> g = {0.5, -3.0};
  const std::uint8_t decay = 0;
  ops::adamw(cpu, 2, p.data(), g.data(), m.data(), v.data(), &decay,
             ops::AdamStep<double>::make({.learning_rate = 0.01, .epsilon = 0.0}, 1));
  CHECK(p[0] == doctest::Approx(0.99).epsilon(1e-14));
  CHECK(p[1] == doctest::Approx(1.01).epsilon(1e-14));
}

TEST_CASE("adamw: any split at multiples of 64 gives the same bits, at any alignment") {
  const std::size_t n = 64 * 20 + 5;
  const auto p0 = normal<float>(n, 1), g = normal<float>(n, 2), m0 = normal<float>(n, 3, 0.1);
  auto v0 = normal<float>(n, 4, 0.1);
  for (float& x : v0) x *= x;
  std::vector<std::uint8_t> decay(21);
  for (std::size_t i = 0; i < decay.size(); ++i) decay[i] = i % 3 == 0;
  const auto s = ops::AdamStep<float>::make({}, 7, 1.0 / 3);
  auto p = p0, m = m0, v = v0;
  ops::adamw(cpu, n, p.data(), g.data(), m.data(), v.data(), decay.data(), s);
  for (std::size_t cut : {64, 64 * 7, 64 * 20}) {
    auto p1 = p0, m1 = m0, v1 = v0;
    std::vector<float> shifted(n + 1);  // the gradient elsewhere, not aligned
    std::copy(g.begin(), g.end(), shifted.begin() + 1);
    const float* g1 = shifted.data() + 1;
    ops::adamw(cpu, cut, p1.data(), g1, m1.data(), v1.data(), decay.data(), s);
    ops::adamw(cpu, n - cut, p1.data() + cut, g1 + cut, m1.data() + cut, v1.data() + cut,
               decay.data() + cut / 64, s);
    CHECK(same_bits(p1, p));
    CHECK(same_bits(m1, m));
    CHECK(same_bits(v1, v));
  }
}

TEST_CASE("adamw: padding stays zero, a NaN gradient is not hidden") {
  std::vector<float> p(64), g(64), m(64), v(64);
  const std::uint8_t decay = 1;
  const auto s = ops::AdamStep<float>::make({}, 1);
  ops::adamw(cpu, 64, p.data(), g.data(), m.data(), v.data(), &decay, s);
  CHECK(p == std::vector<float>(64, 0.0f));
  g[3] = NAN;
  ops::adamw(cpu, 64, p.data(), g.data(), m.data(), v.data(), &decay, s);
  CHECK(std::isnan(p[3]));
  CHECK(p[4] == 0);
}
