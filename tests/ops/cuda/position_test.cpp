// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/position_test.cpp: the CPU's bits, for every number of samples and tokens.
#include <cohort/ops/cuda/position.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C, class T> void check(int samples, int tokens) {
  CAPTURE(C);
  CAPTURE(samples);
  constexpr int most = 6;
  using A = accumulator_t<T>;
  Gpu gpu;
  const auto n = static_cast<std::size_t>(samples * tokens * C);
  const auto vx = normal<T>(n, 1), vw = normal<T>(most * C, 2);
  GpuArray<T> x(vx), w(vw);
  for (const bool first : {true, false}) {
    auto want = before<A>(most * C, first, 3);
    GpuArray<A> dw(want);
    ops::position_backward<most, C>(cpu, samples, tokens, vx.data(), want.data(), first);
    ops::position_backward<most, C>(gpu, samples, tokens, x.view(), dw.data(), first);
    CHECK(same_bits(dw.get(), want));
  }
  std::vector<T> y(n);
  ops::position_forward<C>(cpu, samples, tokens, vx.data(), vw.data(), y.data());
  ops::position_forward<C>(gpu, samples, tokens, x.view(), w.view(), x.data());
  CHECK(same_bits(x.get(), y));
}
}  // namespace

TEST_CASE_TEMPLATE("position on a GPU: the CPU's bits", T, double, float, bf16, fp16) {
  for (const int samples : {0, 1, 3, 4, 9})
    for (const int tokens : {1, 4, 6}) {
      check<7, T>(samples, tokens);
      check<12, T>(samples, tokens);
      check<768, T>(samples, tokens);
    }
}
