// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/adamw_test.cpp: the CPU's bits, in every precision and rounding.
#include <cohort/ops/cuda/adamw.hpp>

#include "optimizer_case.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <class T> void check(std::size_t n, ops::RandomRounding* random = nullptr) {
  using A = accumulator_t<T>;
  OptimizerCase<T> both(n);
  for (int step = 7; step < 9; ++step) {
    const auto s = ops::AdamStep<A>::make({.weight_decay = 0.1}, step, 1.0 / 3);
    both.compare(
        s, [&](auto... a) { ops::adamw(cpu, n, a..., s); },
        [&](const Cuda& gpu, auto... a) { ops::adamw(gpu, n, a...); }, random);
  }
}
}  // namespace

TEST_CASE_TEMPLATE("adamw on a GPU: the CPU's bits, with masters and without", T, double, float,
                   bf16, fp16) {
  for (const std::size_t n : shard_sizes) check<T>(n);
}

TEST_CASE("adamw on a GPU: the CPU's random roundings") {
  for (const std::size_t n : shard_sizes)
    for (const std::size_t first : {0, 128}) {
      ops::RandomRounding random{42, nullptr, first};
      check<bf16>(n, &random);
    }
}

TEST_CASE("adamw on a GPU: a step made there is the one made here") {
  const auto made = ops::AdamStep<float>::make({.learning_rate = 0.01, .beta2 = 0.95}, 3, 0.5);
  CHECK(made.grad_scale == 0.5f);
  CHECK(made.step_size == doctest::Approx(0.01 / (1 - 0.9 * 0.9 * 0.9)));
}
