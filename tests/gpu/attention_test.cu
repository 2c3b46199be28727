// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/attention_test.cu: attention on the GPU against float64, 1024 tokens and 12 heads as in GPT-2.
#include <cohort/ops/cuda/attention.hpp>
#include <cohort/ops/cuda/rope.hpp>

#include "support.hpp"

namespace {

using namespace cohort;
using gpu_test::OnBoth;
using gpu_test::size;

template <class H, bool Causal, class T> void check(int samples, int tokens) {
  OnBoth<T> t;
  using A = accumulator_t<T>;
  const auto rows = static_cast<std::size_t>(samples) * tokens;
  auto qkv = t.random(rows * H::row), dy = t.random(rows * H::width),
       y = t.poisoned(rows * H::width);
  auto dqkv = t.poisoned(rows * H::row);
  auto lse = t.template poisoned<A>(rows * H::heads);
  const std::size_t elements = std::max(ops::attention_scratch<H::head_dim, double>(tokens),
                                        ops::attention_scratch_on_cuda<H>(samples, tokens));
  auto scratch = t.template poisoned<A>(elements);
  t.run([&](const auto& device) {
    ops::attention_forward<H, Causal>(device, samples, tokens, qkv.on(device), y.on(device),
                                      lse.on(device), scratch.on(device));
    ops::attention_backward<H, Causal>(device, samples, tokens, qkv.on(device), y.on(device),
                                       dy.on(device), lse.on(device), dqkv.on(device),
                                       scratch.on(device));
  });
  // Probabilities, and in backward y and dS, are rounded to T before they are multiplied.
  t.check("lse", lse, {.additions = H::head_dim});
  t.check("y", y, {.additions = double(tokens), .inner = 1});
  t.check("dqkv", dqkv, {.additions = double(tokens) * H::group, .inner = 4});
}

}  // namespace

TEST_CASE_TEMPLATE("attention: causal, GPT-2's size", T, float, bf16, fp16) {
  check<ops::EqualHeads<12, 64>, true, T>(1, size(1024, 40));
}

TEST_CASE_TEMPLATE("attention: all keys, several samples, tokens no multiple of a tile", T,
                   COHORT_GPU_TYPES) {
  check<ops::EqualHeads<2, 64>, false, T>(size(3, 2), size(333, 37));
  check<ops::EqualHeads<3, 16>, true, T>(2, size(129, 33));
  check<ops::EqualHeads<1, 128>, true, T>(1, size(257, 17));
  check<ops::EqualHeads<2, 32>, true, T>(2, 1);
}

TEST_CASE_TEMPLATE("attention: query heads that share a key head", T, COHORT_GPU_TYPES) {
  check<ops::AttentionHeads<8, 2, 64>, true, T>(size(3, 2), size(500, 37));
  check<ops::AttentionHeads<4, 1, 128>, true, T>(1, size(257, 17));
  check<ops::AttentionHeads<6, 3, 20>, false, T>(2, size(129, 33));
}

namespace {
using Angles = ops::RotaryAngles<500000>;
}  // namespace

TEST_CASE_TEMPLATE("rope: forward and backward, a long text", T, COHORT_GPU_TYPES) {
  using H = ops::AttentionHeads<8, 2, 64>;
  OnBoth<T> t;
  const int samples = 2, tokens = size(4096, 40);
  const auto n = static_cast<std::size_t>(samples) * tokens * H::row;
  auto forward = t.random(n), backward = t.random(n);
  t.run([&](const auto& device) {
    ops::rope_forward<H, Angles>(device, samples, tokens, forward.on(device));
    ops::rope_backward<H, Angles>(device, samples, tokens, backward.on(device));
  });
  t.check("turned", forward);
  t.check("turned back", backward);
}
