// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/attention_forward_test.cpp: tiles of queries against fp64, and what a row depends on.
#include <doctest/doctest.h>

#include <cohort/ops/cuda/attention_forward.hpp>

#include "attention_case.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <class T> struct Result {
  std::vector<T> y;
  std::vector<float> lse;
};
template <int H, int D, bool Causal, int KvHeads = H, class T>
Result<T> run(int samples, int tokens, const std::vector<T>& qkv) {
  using K = ops::kernels::TiledAttentionForward<ops::AttentionHeads<H, KvHeads, D>, Causal, T>;
  const BareStream stream;
  const auto rows = static_cast<std::size_t>(samples * tokens);
  GpuArray<T> in(qkv), y(rows * H * D);
  GpuArray<float> lse(rows * H);
  cuda::launch(stream.device, ops::kernels::HeadTile::count(samples, H, tokens, K::rows),
               K{tokens, in.view(), y.data(), lse.data()});
  return {y.get(), lse.get()};
}

template <int H, int D, bool Causal, class T, int KvHeads = H> void check(int samples, int tokens) {
  CAPTURE(D);
  CAPTURE(Causal);
  CAPTURE(tokens);
  const std::size_t n = static_cast<std::size_t>(samples) * tokens * H * D;
  const auto qkv = normal<T>(n + 2 * n * KvHeads / H, tokens), dy = normal<T>(n, 2);
  const ExactAttention<H, D, Causal, T, KvHeads> exact(samples, tokens, unit<T>, qkv, dy);
  const auto r = run<H, D, Causal, KvHeads>(samples, tokens, qkv);
  CHECK(exact.y.share(r.y) <= 1);
  CHECK(exact.lse.share(r.lse) <= 1);
}
}  // namespace

TEST_CASE_TEMPLATE("attention forward: tiles agree with fp64 at every tail", T, bf16, fp16) {
  for (int tokens : {1, 17, 63, 64, 65, 130}) {
    check<2, 64, true, T>(1, tokens);
    check<1, 64, false, T>(2, tokens);
  }
  for (int tokens : {1, 65, 130}) {
    check<1, 128, true, T>(1, tokens);
    check<1, 128, false, T>(1, tokens);
    check<2, 64, true, T, 1>(2, tokens);  // query heads that share a key head
  }
}

TEST_CASE("attention forward: in tiles, a causal row's bits do not depend on later tokens") {
  constexpr int H = 2, D = 64, C = H * D;
  const auto qkv = normal<bf16>(131 * 3 * C, 1);
  const auto all = run<H, D, true>(1, 131, qkv);
  for (int tokens : {1, 16, 64, 129}) {
    const std::vector<bf16> head(qkv.begin(), qkv.begin() + tokens * 3 * C);
    const auto r = run<H, D, true>(1, tokens, head);
    CHECK(same_bits(r.y.data(), all.y.data(), static_cast<std::size_t>(tokens) * C));
  }
}

TEST_CASE(
    "attention forward: in tiles, large scores do not overflow, and a NaN stays in its rows") {
  constexpr int H = 1, D = 64, C = H * D, tokens = 70;
  auto qkv = normal<bf16>(tokens * 3 * C, 1, 100.0);
  for (const bf16 v : run<H, D, true>(1, tokens, qkv).y) REQUIRE(std::isfinite(float(v)));
  const auto before = run<H, D, true>(1, tokens, qkv);
  qkv[40 * 3 * C] = bf16(NAN);  // one query
  const auto after = run<H, D, true>(1, tokens, qkv);
  for (int i = 0; i < tokens; ++i) {
    CAPTURE(i);
    if (i == 40)
      CHECK(std::isnan(float(after.y[i * C])));
    else
      CHECK(same_bits(before.y.data() + i * C, after.y.data() + i * C, C));
  }
}
