// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/attention_rows_test.cpp: a warp a row, for every type and odd heads, against fp64.
#include <doctest/doctest.h>

#include <cohort/ops/cuda/attention_rows.hpp>

#include "attention_case.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int H, int D, bool Causal, class T, int KvHeads = H> void check(int samples, int tokens) {
  CAPTURE(D);
  CAPTURE(Causal);
  CAPTURE(tokens);
  using A = accumulator_t<T>;
  using Heads = ops::AttentionHeads<H, KvHeads, D>;
  using Forward = ops::kernels::AttentionForwardRows<Heads, Causal, T>;
  using Delta = ops::kernels::AttentionDelta<Heads, T>;
  using Keys = ops::kernels::AttentionBackwardRows<Heads, Causal, true, T>;
  using Queries = ops::kernels::AttentionBackwardRows<Heads, Causal, false, T>;
  const std::size_t rows = static_cast<std::size_t>(samples) * tokens, n = rows * H * D;
  const auto qkv = normal<T>(rows * Heads::row, tokens), dy = normal<T>(n, 2);
  GpuArray<T> in(qkv), out(dy), y(n), dqkv(qkv.size());
  GpuArray<A> lse(rows * H), delta(rows * H);
  const BareStream stream;
  const auto launch = [&](auto kernel) {
    cuda::launch(stream.device, decltype(kernel)::Row::blocks(samples, tokens), kernel);
  };
  launch(Forward{samples, tokens, in.view(), y.data(), lse.data()});
  cuda::launch(stream.device, Delta::blocks(samples, tokens),
               Delta{samples, tokens, y.view(), out.view(), delta.data()});
  launch(Keys{samples, tokens, in.view(), out.view(), lse.view(), delta.view(), dqkv.data()});
  launch(Queries{samples, tokens, in.view(), out.view(), lse.view(), delta.view(), dqkv.data()});
  const ExactAttention<H, D, Causal, T, KvHeads> exact(samples, tokens, 0, qkv, dy);
  CHECK(exact.y.share(y.get()) <= 1);
  CHECK(exact.lse.share(lse.get()) <= 1);
  CHECK(exact.dqkv.share(dqkv.get()) <= 1);
}
}  // namespace

TEST_CASE_TEMPLATE("attention by rows: forward and backward agree with fp64", T, float, bf16, fp16,
                   double) {
  for (int tokens : {1, 31, 33, 65}) {
    check<2, 8, true, T>(2, tokens);
    check<1, 33, false, T>(1, tokens);
  }
  check<3, 5, true, T>(2, 40);
  check<1, 64, false, T>(1, 34);
  check<2, 80, true, T>(1, 35);
  check<6, 20, true, T, 2>(2, 35);  // query heads that share a key head
  check<3, 8, false, T, 1>(1, 33);
}
