// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/rope_test.cpp: rotary positions on a GPU against the CPU's body in fp64.
#include <cohort/ops/cuda/rope.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Angles = ops::RotaryAngles<>;

template <class H, class T> void check(int samples, int tokens) {
  CAPTURE(H::head_dim);
  CAPTURE(H::heads);
  CAPTURE(tokens);
  Gpu gpu;
  const auto before = normal<T>(static_cast<std::size_t>(samples) * tokens * H::row, 1);
  auto there = as<double>(before), back = there;
  ops::rope_forward<H, Angles>(cpu, samples, tokens, there.data());
  ops::rope_backward<H, Angles>(cpu, samples, tokens, back.data());
  GpuArray<T> x(before), y(before);
  ops::rope_forward<H, Angles>(gpu, samples, tokens, x.data());
  ops::rope_backward<H, Angles>(gpu, samples, tokens, y.data());
  // As tests/ops/rope_test.cpp: sines are off by 1.2e-7, of numbers below 5.
  const double sine = std::is_same_v<T, double> ? 2 * unit<double> : 1.2e-7;
  const double error = 5 * (2 * sine + 3 * unit<accumulator_t<T>>);
  CHECK(once_rounded(x.get(), there, error) <= 1);
  CHECK(once_rounded(y.get(), back, error) <= 1);
}
}  // namespace

TEST_CASE_TEMPLATE("rope on a GPU: near fp64, for heads of whole packs or not", T, double, float,
                   bf16, fp16) {
  check<ops::AttentionHeads<4, 2, 64>, T>(2, 70);
  check<ops::AttentionHeads<3, 1, 128>, T>(1, 9);
  check<ops::AttentionHeads<5, 1, 6>, T>(3, 11);
  check<ops::EqualHeads<1, 34>, T>(1, 1);
}

TEST_CASE("rope on a GPU: no samples queue nothing") {
  Gpu gpu;
  GpuArray<float> x(0);
  const int before = cuda_double::calls("launch");
  ops::rope_forward<ops::EqualHeads<2, 16>, Angles>(gpu.device(), 0, 8, x.data());
  CHECK(cuda_double::calls("launch") == before);
}
