// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/rope_test.cpp: rotary positions against complex rotations, far tokens, and their laws.
#include <doctest/doctest.h>

#include <cohort/ops/rope.hpp>
#include <complex>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Angles = ops::RotaryAngles<>;

/// Each pair as a complex number times e^(i angle), in long double.
template <class H> std::vector<double> reference(int samples, int tokens, std::vector<double> qkv) {
  constexpr int pairs = H::head_dim / 2;
  for (int row = 0; row < samples * tokens; ++row)
    for (int head = 0; head < H::heads + H::kv_heads; ++head)
      for (int i = 0; i < pairs; ++i) {
        double* x = qkv.data() + row * H::row + head * H::head_dim + i;
        const long double angle = (row % tokens) * (long double)(Angles::of_pair(i, pairs));
        const auto turned = std::complex<long double>(x[0], x[pairs]) * std::polar(1.0L, angle);
        x[0] = double(turned.real()), x[pairs] = double(turned.imag());
      }
  return qkv;
}

template <class H, class T> void check(int samples, int tokens) {
  CAPTURE(H::head_dim);
  CAPTURE(tokens);
  const auto before = normal<T>(static_cast<std::size_t>(samples) * tokens * H::row, 1);
  auto x = before;
  ops::rope_forward<H, Angles>(cpu, samples, tokens, x.data());
  // A sine is off by 1.2e-7 in fp32 and some units in fp64, and by what its angle of up to `tokens` is
  // rounded in fp64; two products and a sum.
  const double sine = std::is_same_v<T, double> ? 2 * unit<double> : 1.2e-7;
  const double error = 5 * (2 * sine + 4 * tokens * unit<double> + 3 * unit<accumulator_t<T>>);
  CHECK(once_rounded(x, reference<H>(samples, tokens, as<double>(before)), error) <= 1);

  ops::rope_backward<H, Angles>(cpu, samples, tokens, x.data());  // turned back
  const double twice = 3 * error + 5 * 2 * unit<T>;
  CHECK(once_rounded(x, as<double>(before), twice) <= 1);
}
}  // namespace

TEST_CASE_TEMPLATE("rope: every pair is turned by its token's angle, and back", T, float, double,
                   bf16, fp16) {
  check<ops::AttentionHeads<4, 2, 6>, T>(2, 9);
  check<ops::AttentionHeads<3, 1, 2>, T>(1, 40);
  check<ops::EqualHeads<2, 64>, T>(1, 300);
  check<ops::AttentionHeads<2, 1, 34>, T>(3, 1);
}

TEST_CASE("rope: values stay, and so does token 0") {
  using H = ops::AttentionHeads<4, 2, 8>;
  const auto before = normal<float>(5 * H::row, 1);
  auto x = before;
  ops::rope_forward<H, Angles>(cpu, 1, 5, x.data());
  CHECK(same_bits(x.data(), before.data(), H::row));
  for (int row = 0; row < 5; ++row)
    CHECK(same_bits(x.data() + row * H::row + H::v(0), before.data() + row * H::row + H::v(0),
                    2 * 8));
}

TEST_CASE("rope: a score depends on how far apart its tokens are") {
  using H = ops::EqualHeads<1, 16>;
  constexpr int tokens = 3000;
  const auto one = normal<float>(H::row, 1);
  std::vector<float> x;
  for (int t = 0; t < tokens; ++t) x.insert(x.end(), one.begin(), one.end());
  ops::rope_forward<H, Angles>(cpu, 1, tokens, x.data());
  const auto score = [&](int i, int j) {
    double sum = 0;
    for (int d = 0; d < 16; ++d)
      sum += double(x[i * H::row + d]) * double(x[j * H::row + H::k(0) + d]);
    return sum;
  };
  const double error = 16 * 9 * 2 * 4e-7;  // 16 products of two numbers below 3, each off as above
  for (int distance : {0, 1, 17, 900})
    for (int j : {1, 64, 2000})
      CHECK(std::fabs(score(j + distance, j) - score(distance, 0)) <= error);
  CHECK(std::fabs(score(5, 0) - score(0, 0)) > 100 * error);
}

TEST_CASE_TEMPLATE("rope: sines and cosines, near and after a million turns", T, float, double) {
  const double most = std::is_same_v<T, float> ? 1.2e-7 : 4 * unit<double>;
  double worst = 0;
  const auto visit = [&](double token, double quarters) {
    const auto got = ops::detail::sin_cos_of_quarters<T>(token, quarters);
    const long double left = std::remainder((long double)(token)*quarters, 4.0L);  // exact
    const long double angle = left * 1.57079632679489661923132169163975144L;
    worst = std::max(worst, std::fabs(double(got.sin - std::sin(angle))));
    worst = std::max(worst, std::fabs(double(got.cos - std::cos(angle))));
    const auto mirrored = ops::detail::sin_cos_of_quarters<T>(token, -quarters);
    if (mirrored.sin != -got.sin || mirrored.cos != got.cos) worst = 1;  // turning back is exact
  };
  for (int i = 0; i <= 40000; ++i) visit(1, i / 5000.0);
  for (int i = 0; i < 10000; ++i) visit(1000003, i * (4.0f / 10000));
  CHECK(worst <= most);
}
