// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/adam_test.cpp: the CPU's bits, in every precision and rounding.
#include <cohort/ops/cuda/adam.hpp>

#include "optimizer_case.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <class T> void check(std::size_t n, ops::RandomRounding* random = nullptr) {
  using A = accumulator_t<T>;
  OptimizerCase<T> both(n);
  for (int step = 1; step < 3; ++step) {
    const auto s = ops::AdamStep<A>::make({.weight_decay = 0.1}, step, 1.0 / 3);
    both.compare(
        s, [&](auto... a) { ops::adam(cpu, n, a..., s); },
        [&](const Cuda& gpu, auto... a) { ops::adam(gpu, n, a...); }, random);
  }
}
}  // namespace

TEST_CASE_TEMPLATE("adam on a GPU: the CPU's bits, with masters and without", T, double, float,
                   bf16, fp16) {
  for (const std::size_t n : shard_sizes) check<T>(n);
}

TEST_CASE("adam on a GPU: the CPU's random roundings") {
  for (const std::size_t n : shard_sizes) {
    ops::RandomRounding random{42, nullptr, 64};
    check<bf16>(n, &random);
  }
}
