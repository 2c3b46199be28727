// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/sgd_test.cpp: plain, with momentum, with Nesterov, with decay: against fp64.
#include <doctest/doctest.h>

#include <cohort/ops/sgd.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <class T> void follow(double momentum, bool nesterov, double weight_decay) {
  const std::size_t n = 64 + 30;
  auto p = normal<T>(n, 1);
  std::vector<T> b(n);
  std::vector<double> want(p.begin(), p.end()), buffer(n);
  const std::vector<std::uint8_t> decay = {0, 1};
  const ops::SgdStep<T> s{.grad_scale = T(0.5),
                          .learning_rate = T(0.1),
                          .momentum = T(momentum),
                          .weight_decay = T(weight_decay),
                          .nesterov = nesterov};
  for (int t = 0; t < 10; ++t) {
    const auto g = normal<T>(n, 10 + t);
    ops::sgd(cpu, n, p.data(), g.data(), momentum == 0 ? nullptr : b.data(), decay.data(), s);
    for (std::size_t i = 0; i < n; ++i) {  // torch.optim.sgd, dampening 0
      double grad = 0.5 * double(g[i]) + (decay[i / 64] ? weight_decay * want[i] : 0.0);
      buffer[i] = momentum * buffer[i] + grad;
      if (momentum != 0) grad = nesterov ? grad + momentum * buffer[i] : buffer[i];
      want[i] -= 0.1 * grad;
    }
  }
  // |p| < 8 and |direction| < 16 throughout: p is rounded once in a step, lr times the direction is
  // good to 10 units (rounded constants, and what the buffer has gathered).
  CHECK(max_error(p, want) <= 10 * unit<T> * (8 + 10 * 0.1 * 16));
}
}  // namespace

TEST_CASE_TEMPLATE("sgd: ten steps follow PyTorch's update in fp64", T, float, double) {
  follow<T>(0.0, false, 0.0);
  follow<T>(0.0, false, 0.1);
  follow<T>(0.9, false, 0.1);
  follow<T>(0.9, true, 0.1);
}

TEST_CASE("sgd: any split at multiples of 64 gives the same bits") {
  const std::size_t n = 64 * 5 + 3, cut = 128;
  const auto p0 = normal<float>(n, 1), g = normal<float>(n, 2), b0 = normal<float>(n, 3);
  const std::vector<std::uint8_t> decay = {1, 0, 1, 0, 1, 1};
  const ops::SgdStep<float> s{.grad_scale = 0.3f,
                              .learning_rate = 0.1f,
                              .momentum = 0.9f,
                              .weight_decay = 0.01f,
                              .nesterov = true};
  auto p = p0, b = b0, p1 = p0, b1 = b0;
  ops::sgd(cpu, n, p.data(), g.data(), b.data(), decay.data(), s);
  ops::sgd(cpu, cut, p1.data(), g.data(), b1.data(), decay.data(), s);
  ops::sgd(cpu, n - cut, p1.data() + cut, g.data() + cut, b1.data() + cut, decay.data() + 2, s);
  CHECK(same_bits(p, p1));
  CHECK(same_bits(b, b1));
}
