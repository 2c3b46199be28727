// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/attention_test.cu: attention on the GPU against float64, 1024 tokens and 12 heads as in GPT-2.
#include <cohort/ops/cuda/attention.hpp>

#include "support.hpp"

namespace {

using namespace cohort;
using gpu_test::OnBoth;
using gpu_test::size;

template <int Heads, int HeadDim, bool Causal, class T> void check(int samples, int tokens) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  constexpr int C = Heads * HeadDim;
  const auto rows = static_cast<std::size_t>(samples) * tokens;
  auto qkv = t.random(rows * 3 * C), dy = t.random(rows * C), y = t.poisoned(rows * C);
  auto dqkv = t.poisoned(rows * 3 * C);
  auto lse = t.template poisoned<A>(rows * Heads);
  const std::size_t elements = std::max(ops::attention_scratch<HeadDim, double>(tokens),
                                        ops::attention_scratch_on_cuda<Heads>(samples, tokens));
  auto scratch = t.template poisoned<A>(elements);
  t.run([&](const auto& device) {
    ops::attention_forward<Heads, HeadDim, Causal>(
        device, samples, tokens, qkv.on(device), y.on(device), lse.on(device), scratch.on(device));
    ops::attention_backward<Heads, HeadDim, Causal>(device, samples, tokens, qkv.on(device),
                                                    y.on(device), dy.on(device), lse.on(device),
                                                    dqkv.on(device), scratch.on(device));
  });
  // Probabilities, and in backward y and dS, are rounded to T before they are multiplied.
  t.check("lse", lse, {.additions = HeadDim});
  t.check("y", y, {.additions = double(tokens), .inner = 1});
  t.check("dqkv", dqkv, {.additions = double(tokens), .inner = 4});
}

}  // namespace

TEST_CASE_TEMPLATE("attention: causal, GPT-2's size", T, float, bf16, fp16) {
  check<12, 64, true, T>(1, size(1024, 40));
}

TEST_CASE_TEMPLATE("attention: all keys, several samples, tokens no multiple of a tile", T,
                   COHORT_GPU_TYPES) {
  check<2, 64, false, T>(size(3, 2), size(333, 37));
  check<3, 16, true, T>(2, size(129, 33));
  check<1, 128, true, T>(1, size(257, 17));
  check<2, 32, true, T>(2, 1);
}
