// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/attention_test.cpp: against fp64, finite differences, causality and independence of samples.
#include <doctest/doctest.h>

#include <cohort/ops/attention.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// softmax(Q K^T / sqrt(D)) V in fp64, straight from the definition.
template <int H, int D, bool Causal, int KvHeads = H>
std::vector<double> reference(int samples, int tokens, const std::vector<double>& qkv) {
  constexpr int C = H * D, row = C + 2 * KvHeads * D;
  std::vector<double> y(static_cast<std::size_t>(samples) * tokens * C), p(tokens);
  const auto q = [&](int s, int t, int h, int d) {
    return qkv[(s * tokens + t) * row + h * D + d];
  };
  const auto k = [&](int s, int t, int h, int d) { return q(s, t, H + h * KvHeads / H, d); };
  const auto v = [&](int s, int t, int h, int d) {
    return q(s, t, H + KvHeads + h * KvHeads / H, d);
  };
  const auto attend = [&](int s, int h, int i) {
    const int keys = Causal ? i + 1 : tokens;
    double sum = 0;
    for (int j = 0; j < keys; ++j) {
      double score = 0;
      for (int d = 0; d < D; ++d) score += q(s, i, h, d) * k(s, j, h, d);
      sum += p[j] = std::exp(score / std::sqrt(double(D)));
    }
    for (int j = 0; j < keys; ++j)
      for (int d = 0; d < D; ++d) y[(s * tokens + i) * C + h * D + d] += p[j] / sum * v(s, j, h, d);
  };
  for (int s = 0; s < samples; ++s)
    for (int h = 0; h < H; ++h)
      for (int i = 0; i < tokens; ++i) attend(s, h, i);
  return y;
}

template <class T> struct Result {
  std::vector<T> y, dqkv;
  std::vector<accumulator_t<T>> lse;
};
template <int H, int D, bool Causal, int KvHeads = H, class T>
Result<T> run(int samples, int tokens, const std::vector<T>& qkv, const std::vector<T>& dy) {
  using A = accumulator_t<T>;
  using Heads = ops::AttentionHeads<H, KvHeads, D>;
  Result<T> r{std::vector<T>(dy.size()), std::vector<T>(qkv.size()),
              std::vector<A>(static_cast<std::size_t>(samples) * H * tokens)};
  std::vector<A> scratch(ops::attention_scratch<D, T>(tokens), A(NAN));  // whatever was there
  ops::attention_forward<Heads, Causal>(cpu, samples, tokens, qkv.data(), r.y.data(), r.lse.data(),
                                        scratch.data());
  std::fill(scratch.begin(), scratch.end(), A(NAN));
  ops::attention_backward<Heads, Causal>(cpu, samples, tokens, qkv.data(), r.y.data(), dy.data(),
                                         r.lse.data(), r.dqkv.data(), scratch.data());
  return r;
}

template <int H, int D, bool Causal, int KvHeads = H> void check(int samples, int tokens) {
  CAPTURE(H);
  CAPTURE(D);
  CAPTURE(Causal);
  CAPTURE(tokens);
  const std::size_t n = static_cast<std::size_t>(samples) * tokens * H * D;
  const auto qkv = normal<double>(n + 2 * n * KvHeads / H, 1), dy = normal<double>(n, 2);
  const auto slope = finite_differences(qkv, [&](const auto& v) {
    return dot(reference<H, D, Causal, KvHeads>(samples, tokens, v), dy);
  });
  const auto wide = run<H, D, Causal, KvHeads>(samples, tokens, qkv, dy);
  const auto exact = reference<H, D, Causal, KvHeads>(samples, tokens, qkv);
  CHECK(max_error(wide.y, exact) <= 1e-13);
  // h^2 f''' / 6 + unit f / h, third derivatives below 100 and f below 200.
  CHECK(max_error(wide.dqkv, slope) <= 1e-10 / 6 * 100 + 1.2e-16 / 1e-5 * 200);

  const std::vector<float> qkv32(qkv.begin(), qkv.end()), dy32(dy.begin(), dy.end());
  const auto narrow = run<H, D, Causal, KvHeads>(samples, tokens, qkv32, dy32);
  // A score is a sum of D products, all below 10 after scaling: p is good to (D + 10) units of 10; a
  // sum over the keys of p v, |v| < 4, adds `tokens` units. dqkv multiplies two such numbers.
  const double tolerance = unit<float> * 4 * (10 * (D + 10) + tokens);
  CHECK(max_error(narrow.y, exact) <= tolerance);
  CHECK(max_error(narrow.dqkv, slope) <= 10 * tolerance * H / KvHeads);  // dk, dv: of all its heads
}
}  // namespace

TEST_CASE("attention: forward and backward agree with fp64 and with finite differences") {
  check<1, 4, true>(2, 5);
  check<2, 4, false>(2, 5);
  check<2, 8, true>(1, 16);
  check<1, 5, false>(1, 21);  // no multiple of anything
  check<2, 20, true>(1, 19);
  check<1, 32, true>(1, 34);
  check<1, 16, false>(1, 33);
  check<2, 3, true>(3, 1);  // one token attends to itself
}

TEST_CASE(
    "attention: query heads that share a key head: forward, backward, and equal to copies of it") {
  check<4, 4, true, 2>(2, 5);
  check<6, 5, false, 2>(1, 19);
  check<3, 16, true, 1>(1, 17);

  constexpr int D = 8, tokens = 21;
  const auto qkv = normal<float>(tokens * 8 * D, 1), dy = normal<float>(tokens * 4 * D, 2);
  std::vector<float> copied;  // k and v of heads 0 0 1 1
  for (int t = 0; t < tokens; ++t)
    for (const int head : {0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7})
      copied.insert(copied.end(), qkv.begin() + (t * 8 + head) * D,
                    qkv.begin() + (t * 8 + head + 1) * D);
  const auto shared = run<4, D, true, 2>(1, tokens, qkv, dy),
             own = run<4, D, true>(1, tokens, copied, dy);
  CHECK(same_bits(shared.y, own.y));
  CHECK(same_bits(shared.lse, own.lse));
}

TEST_CASE_TEMPLATE("attention: with one key the value passes through", T, float, double) {
  const auto qkv = normal<T>(3 * 32, 1);
  const auto r = run<1, 32, true>(1, 1, qkv, std::vector<T>(32, T(1)));
  for (int d = 0; d < 32; ++d)  // p and 1 / p are good to 4 units
    CHECK(std::fabs(r.y[d] - qkv[64 + d]) <= 4 * unit<T> * std::fabs(qkv[64 + d]));
}

TEST_CASE("attention: a sample's bits do not depend on the other samples") {
  constexpr int H = 4, D = 32, C = H * D, tokens = 40;
  const auto qkv = normal<float>(3 * tokens * 3 * C, 1), dy = normal<float>(3 * tokens * C, 2);
  const auto all = run<H, D, true>(3, tokens, qkv, dy);
  for (int s = 0; s < 3; ++s) {
    const std::vector<float> qkv1(qkv.begin() + s * tokens * 3 * C,
                                  qkv.begin() + (s + 1) * tokens * 3 * C);
    const std::vector<float> dy1(dy.begin() + s * tokens * C, dy.begin() + (s + 1) * tokens * C);
    const auto r = run<H, D, true>(1, tokens, qkv1, dy1);
    CHECK(same_bits(r.y.data(), all.y.data() + s * tokens * C, tokens * C));
    CHECK(same_bits(r.dqkv.data(), all.dqkv.data() + s * tokens * 3 * C, tokens * 3 * C));
  }
}

TEST_CASE("attention: a causal row's bits do not depend on later tokens") {
  constexpr int H = 2, D = 32, C = H * D;
  const auto qkv = normal<float>(50 * 3 * C, 1);
  const std::vector<float> dy(50 * C, 1.0f);
  const auto all = run<H, D, true>(1, 50, qkv, dy);
  for (int tokens : {1, 15, 16, 17, 33}) {
    const std::vector<float> head(qkv.begin(), qkv.begin() + tokens * 3 * C);
    const auto r = run<H, D, true>(1, tokens, head, std::vector<float>(tokens * C, 1.0f));
    CHECK(same_bits(r.y.data(), all.y.data(), static_cast<std::size_t>(tokens) * C));
  }
}

TEST_CASE("attention: large scores do not overflow") {
  const auto qkv = normal<float>(20 * 3 * 32, 1, 100.0);
  const std::vector<float> dy(20 * 32, 1.0f);
  const auto r = run<1, 32, true>(1, 20, qkv, dy);
  for (float v : r.y) REQUIRE(std::isfinite(v));
  for (float v : r.dqkv) REQUIRE(std::isfinite(v));
}

namespace {
template <class T, int H, int D, bool Causal> void check_16_bits(int samples, int tokens) {
  CAPTURE(D);
  CAPTURE(tokens);
  const std::size_t n = static_cast<std::size_t>(samples) * tokens * H * D;
  const auto qkv = normal<T>(3 * n, 1), dy = normal<T>(n, 2);
  const auto narrow = run<H, D, Causal>(samples, tokens, qkv, dy);
  const auto single = run<H, D, Causal>(samples, tokens, as<float>(qkv), as<float>(dy));
  CHECK(same_bits(narrow.y, as<T>(single.y)));
  CHECK(same_bits(narrow.lse, single.lse));  // fp32: scores, softmax and sums over keys
  CHECK(same_bits(narrow.dqkv, as<T>(single.dqkv)));
  const auto exact = run<H, D, Causal>(samples, tokens, as<double>(qkv), as<double>(dy));
  const double error = unit<float> * 4 * (10 * (D + 10) + tokens);  // as in check()
  CHECK(once_rounded(narrow.y, exact.y, error) <= 1);
  CHECK(once_rounded(narrow.dqkv, exact.dqkv, 10 * error) <= 1);
}
}  // namespace

TEST_CASE_TEMPLATE("attention: 16 bits are fp32 inside, rounded once, and near fp64", T, bf16,
                   fp16) {
  check_16_bits<T, 2, 32, true>(2, 34);
  check_16_bits<T, 1, 5, false>(1, 21);
  check_16_bits<T, 2, 20, true>(1, 16);
}
