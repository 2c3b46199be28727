// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/attention_rows_test.cpp: a warp a row, for every type and odd heads, against fp64.
#include <doctest/doctest.h>

#include <cohort/ops/cuda/attention_rows.hpp>

#include "attention_case.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int H, int D, bool Causal, class T> void check(int samples, int tokens) {
  CAPTURE(D);
  CAPTURE(Causal);
  CAPTURE(tokens);
  using A = accumulator_t<T>;
  using Forward = ops::kernels::AttentionForwardRows<H, D, Causal, T>;
  using Delta = ops::kernels::AttentionDelta<H, D, T>;
  using Keys = ops::kernels::AttentionBackwardRows<H, D, Causal, true, T>;
  using Queries = ops::kernels::AttentionBackwardRows<H, D, Causal, false, T>;
  const std::size_t rows = static_cast<std::size_t>(samples) * tokens, n = rows * H * D;
  const auto qkv = normal<T>(3 * n, tokens), dy = normal<T>(n, 2);
  GpuArray<T> in(qkv), out(dy), y(n), dqkv(3 * n);
  GpuArray<A> lse(rows * H), delta(rows * H);
  const BareStream stream;
  const int blocks = Forward::Row::blocks(samples, tokens);
  const auto both = [&](auto kernel) { cuda::launch(stream.device, blocks, kernel); };
  both(Forward{samples, tokens, in.view(), y.data(), lse.data()});
  cuda::launch(stream.device, Delta::blocks(samples, tokens),
               Delta{samples, tokens, y.view(), out.view(), delta.data()});
  both(Keys{samples, tokens, in.view(), out.view(), lse.view(), delta.view(), dqkv.data()});
  both(Queries{samples, tokens, in.view(), out.view(), lse.view(), delta.view(), dqkv.data()});
  const ExactAttention<H, D, Causal, T> exact(samples, tokens, 0, qkv, dy);
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
}
