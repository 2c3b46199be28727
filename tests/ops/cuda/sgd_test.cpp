// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/sgd_test.cpp: the CPU's bits, with and without momentum, Nesterov's and not.
#include <cohort/ops/cuda/sgd.hpp>

#include "optimizer_case.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <class T> void check(std::size_t n, double momentum, bool nesterov, bool buffer) {
  using A = accumulator_t<T>;
  OptimizerCase<T> both(n);
  const ops::SgdStep<A> s{A(1.0 / 3), A(0.1), A(momentum), A(0.01), nesterov};
  for (int step = 0; step < 2; ++step)
    both.compare(
        s,
        [&](A* p, const A* g, A* m, A*, const std::uint8_t* decay) {
          ops::sgd(cpu, n, p, g, buffer ? m : nullptr, decay, s);
        },
        [&](const Cuda& gpu, T* p, const A* g, A* m, A*, auto... rest) {
          ops::sgd(gpu, n, p, g, buffer ? m : nullptr, rest...);
        });
}
}  // namespace

TEST_CASE_TEMPLATE("sgd on a GPU: the CPU's bits", T, double, float, bf16, fp16) {
  for (const std::size_t n : shard_sizes) {
    check<T>(n, 0.9, false, true);
    check<T>(n, 0.9, true, true);
    check<T>(n, 0.0, false, true);
    check<T>(n, 0.0, false, false);
  }
}
