// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/adam_test.cpp: against the update in fp64, and against adamw.
#include <doctest/doctest.h>

#include <cohort/ops/adam.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("adam: decay is part of the gradient, twenty steps follow fp64", T, float,
                   double) {
  const std::size_t n = 64 + 9;
  const ops::AdamOptions o{.learning_rate = 1e-3, .weight_decay = 0.1};
  auto p = normal<T>(n, 1);
  std::vector<T> m(n), v(n);
  std::vector<double> want(p.begin(), p.end()), wm(n), wv(n);
  const std::vector<std::uint8_t> decay = {1, 0};
  for (int t = 1; t <= 20; ++t) {
    const auto g = normal<T>(n, 100 + t);
    ops::adam(cpu, n, p.data(), g.data(), m.data(), v.data(), decay.data(),
              ops::AdamStep<T>::make(o, t, 0.25));
    for (std::size_t i = 0; i < n; ++i) {  // torch.optim.adam, single tensor
      const double grad = 0.25 * double(g[i]) + (decay[i / 64] ? o.weight_decay * want[i] : 0.0);
      wm[i] += (1 - o.beta1) * (grad - wm[i]);
      wv[i] = wv[i] * o.beta2 + (1 - o.beta2) * grad * grad;
      want[i] -= o.learning_rate / (1 - std::pow(o.beta1, t)) * wm[i] /
                 (std::sqrt(wv[i]) / std::sqrt(1 - std::pow(o.beta2, t)) + o.epsilon);
    }
  }
  // p is rounded once in a step (|p| < 4). The change is lr times less than 1 / sqrt(1 - beta2) = 32;
  // 1 - beta2 carries 0.5 unit, everything else some ten.
  CHECK(max_error(p, want) <= 20 * unit<T> * (4 + 10 * 1e-3 * 32));
}

TEST_CASE("adam: without decay it is adamw, bit for bit") {
  const std::size_t n = 200;
  auto p = normal<float>(n, 1), q = p;
  const auto g = normal<float>(n, 2);
  std::vector<float> m(n), v(n), m2(n), v2(n);
  const std::vector<std::uint8_t> none(4);
  const auto s = ops::AdamStep<float>::make({.weight_decay = 0.5}, 3, 0.5);
  ops::adam(cpu, n, p.data(), g.data(), m.data(), v.data(), none.data(), s);
  ops::adamw(cpu, n, q.data(), g.data(), m2.data(), v2.data(), none.data(), s);
  CHECK(same_bits(p, q));
  CHECK(same_bits(v, v2));
}
