// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/attention_backward_test.cpp: gradients from tiles against fp64, written once and whole.
#include <doctest/doctest.h>

#include <cohort/ops/cuda/attention_backward.hpp>

#include "attention_case.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int H, int D, bool Causal, int KvHeads = H, class T>
std::vector<T> run(int samples, int tokens, const std::vector<T>& qkv, const std::vector<T>& dy,
                   const std::vector<float>& lse, const std::vector<float>& delta) {
  using Heads = ops::AttentionHeads<H, KvHeads, D>;
  using Keys = ops::kernels::TiledAttentionKeyGradients<Heads, Causal, T>;
  using Queries = ops::kernels::TiledAttentionQueryGradients<Heads, Causal, T>;
  const BareStream stream;
  GpuArray<T> in(qkv), out(dy), dqkv(qkv.size());
  GpuArray<float> sums(lse), products(delta);
  const auto blocks = [&](int heads, int rows) {
    return ops::kernels::HeadTile::count(samples, heads, tokens, rows);
  };
  cuda::launch(stream.device, blocks(KvHeads, Keys::rows),
               Keys{{}, tokens, in.view(), out.view(), sums.view(), products.view(), dqkv.data()});
  cuda::launch(
      stream.device, blocks(H, Queries::rows),
      Queries{{}, tokens, in.view(), out.view(), sums.view(), products.view(), dqkv.data()});
  return dqkv.get();
}

template <int H, int D, bool Causal, class T, int KvHeads = H> void check(int samples, int tokens) {
  CAPTURE(D);
  CAPTURE(Causal);
  CAPTURE(tokens);
  const std::size_t n = static_cast<std::size_t>(samples) * tokens * H * D;
  const auto qkv = normal<T>(n + 2 * n * KvHeads / H, tokens), dy = normal<T>(n, 2);
  const ExactAttention<H, D, Causal, T, KvHeads> exact(samples, tokens, unit<T>, qkv, dy);
  std::vector<float> delta(exact.lse.value.size());
  for (int s = 0; s < samples; ++s)
    for (int h = 0; h < H; ++h)
      for (int i = 0; i < tokens; ++i)
        for (int d = 0; d < D; ++d) {
          const std::size_t at = ((s * tokens + i) * H + h) * D + d;
          delta[(s * H + h) * tokens + i] += float(exact.y.value[at] * exact.dy[at]);
        }
  const std::vector<float> lse(exact.lse.value.begin(), exact.lse.value.end());
  const auto dqkv = run<H, D, Causal, KvHeads>(samples, tokens, qkv, dy, lse, delta);
  CHECK(exact.dqkv.share(dqkv) <= 1);
}
}  // namespace

TEST_CASE_TEMPLATE("attention backward: tiles agree with fp64 at every tail", T, bf16, fp16) {
  for (int tokens : {1, 17, 63, 64, 65, 130}) {
    check<2, 64, true, T>(1, tokens);
    check<1, 64, false, T>(2, tokens);
  }
  for (int tokens : {1, 65, 130}) {
    check<1, 128, true, T>(1, tokens);
    check<1, 128, false, T>(1, tokens);
    check<2, 64, true, T, 1>(2, tokens);  // query heads that share a key head
    check<2, 128, false, T, 1>(2, tokens);
  }
}

TEST_CASE("attention backward: tiles give the same bits in every order of blocks and threads") {
  constexpr int H = 2, D = 64, tokens = 100;
  const auto qkv = normal<bf16>(tokens * (H + 2) * D, 1), dy = normal<bf16>(tokens * H * D, 2);
  const std::vector<float> lse(H * tokens, 5.0f), delta(H * tokens, 0.5f);
  const auto forward = run<H, D, true, 1>(1, tokens, qkv, dy, lse, delta);
  cuda_double::set_order(cuda_double::Order::backward);
  const auto backward = run<H, D, true, 1>(1, tokens, qkv, dy, lse, delta);
  cuda_double::reset();
  CHECK(same_bits(forward, backward));
}

TEST_CASE(
    "attention backward: in tiles, keys that do not exist add nothing to very unlikely rows") {
  constexpr int D = 64, tokens = 5;
  std::vector<bf16> qkv(tokens * 3 * D, bf16(20.0f));
  for (int t = 0; t < tokens; ++t)
    for (int d = 0; d < D; ++d) qkv[(t * 3 + 1) * D + d] = bf16(-20.0f);  // scores of -3200
  const std::vector<bf16> dy(tokens * D, bf16(1.0f));
  const std::vector<float> lse(tokens, float(-3200 + std::log(5))), delta(tokens, 20.0f * D);
  const auto dqkv = run<1, D, false>(1, tokens, qkv, dy, lse, delta);
  for (int i = 0; i < tokens * 3 * D;
       ++i)  // all values are the same: only v has a gradient, sum of p = 1
    CHECK(float(dqkv[i]) == doctest::Approx(i / D % 3 == 2 ? 1 : 0).epsilon(4 * unit<bf16>));
}
