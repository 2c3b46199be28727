// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/dropout_test.cpp: which elements are dropped, what becomes of the others, and of their mean.
#include <cohort/ops/dropout.hpp>

#include <doctest/doctest.h>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using ops::DropRate;
const std::int64_t step = 3;
const Random draws({.seed = 9, .steps = &step, .first = 1, .stride = 2}, 4);

static_assert(DropRate::of(0, 1).below == 0 && DropRate::of(0, 1).scale == 1);
static_assert(DropRate::of(1, 2).below == 32768 && DropRate::of(1, 2).scale == 2);
static_assert(DropRate::of(1, 10).below == 6554 && DropRate::of(1, 4).below == 16384);
static_assert(DropRate::of(999999, 1000000).below == 65535 &&
              DropRate::of(999999, 1000000).scale == 65536);
static_assert(DropRate::of(1, 4).factor(16383) == 0 &&
              DropRate::of(1, 4).factor(16384) == 4 / 3.0f);

/// Element by element, from Philox itself.
float factor(DropRate rate, int sample, std::size_t element) {
  const auto words = Philox(9)(draws.stream(), draws.first_block(sample) + element / 8);
  const std::uint32_t half = words[element % 8 / 2] >> (element % 2 * 16) & 0xffff;
  return half < rate.below ? 0 : rate.scale;
}
}  // namespace

TEST_CASE_TEMPLATE("dropout: each element is multiplied by 0 or by the scale, as its bits say", T,
                   double, float, bf16, fp16) {
  using A = accumulator_t<T>;
  const DropRate rate = DropRate::of(3, 10);
  for (const Rows rows : {Rows{0, 3}, Rows{1, 1}, Rows{3, 2}, Rows{2, 61}}) {
    for (const std::size_t columns : {1, 5, 8, 96}) {
      const auto n = static_cast<std::size_t>(rows.count()) * columns;
      auto x = normal<T>(n, 1);
      const auto residual = normal<T>(n, 2);
      if (n > 40) x[0] = T(INFINITY), x[1] = T(-INFINITY), x[2] = T(NAN);
      std::vector<T> y(n), sum(n), want(n), want_sum(n);
      const std::size_t of_sample = static_cast<std::size_t>(rows.tokens) * columns;
      int dropped = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const A f = factor(rate, static_cast<int>(i / of_sample), i % of_sample);
        dropped += f == 0;
        want[i] = T(A(x[i]) * f);
        if constexpr (Float16<T>)
          want_sum[i] = T(A(residual[i]) + A(want[i]));
        else
          want_sum[i] = ops::fma(A(x[i]), f, A(residual[i]));
      }
      ops::dropout(cpu, rows, columns, rate, draws, x.data(), y.data());
      ops::dropout_add(cpu, rows, columns, rate, draws, residual.data(), x.data(), sum.data());
      const auto same = [](T a, T b) {
        return same_bits(&a, &b, 1) || (std::isnan(value(a)) && std::isnan(value(b)));
      };
      for (std::size_t i = 0; i < n; ++i) {
        CHECK(same(y[i], want[i]));
        CHECK(same(sum[i], want_sum[i]));
      }
      if (n > 200) CHECK((dropped > 0 && dropped < static_cast<int>(n)));
      auto in_place = x, into_residual = residual;
      ops::dropout(cpu, rows, columns, rate, draws, in_place.data(), in_place.data());
      ops::dropout_add(cpu, rows, columns, rate, draws, into_residual.data(), x.data(),
                       into_residual.data());
      CHECK(same_bits(in_place, y));
      CHECK(same_bits(into_residual, sum));
    }
  }
}

TEST_CASE("dropout: a sample's elements do not depend on the samples beside it") {
  const DropRate rate = DropRate::of(1, 2);
  const auto x = normal<float>(4 * 33, 1);
  std::vector<float> all(x.size()), one(33);
  ops::dropout(cpu, {4, 3}, 11, rate, draws, x.data(), all.data());
  for (std::uint64_t s = 0; s < 4; ++s) {
    const Random alone({.seed = 9, .steps = &step, .first = 1 + 2 * s}, 4);
    ops::dropout(cpu, {1, 3}, 11, rate, alone, x.data() + 33 * s, one.data());
    CHECK(same_bits(one.data(), all.data() + 33 * s, 33));
  }
}

TEST_CASE("dropout: the share that is dropped, and the mean of what comes out") {
  const std::size_t n = 1 << 20;
  const std::vector<float> ones(n, 1.0f);
  std::vector<float> y(n);
  for (const auto& [num, den] : {std::pair{0, 1}, {1, 10}, {1, 2}, {9, 10}}) {
    const DropRate rate = DropRate::of(num, den);
    ops::dropout(cpu, {64, 16}, 1024, rate, draws, ones.data(), y.data());
    double dropped = 0, sum = 0, pairs = 0;
    for (std::size_t i = 0; i < n; ++i) {
      dropped += y[i] == 0;
      sum += y[i];
      pairs += i > 0 && y[i] == 0 && y[i - 1] == 0;
    }
    // Binomial: five deviations. The rate itself is off by at most 2^-17, its scale by nothing.
    const double p = rate.below / 65536.0, deviation = std::sqrt(p * (1 - p) * n);
    CHECK(std::abs(p - double(num) / den) <= 0x1p-17);
    CHECK(std::abs(dropped - p * n) <= 5 * deviation);
    CHECK(std::abs(sum - n) <= 5 * deviation / (1 - p));
    CHECK(std::abs(pairs - p * p * n) <=
          5 * std::sqrt(p * p * n) * (1 + p));  // neighbours are independent
    if (num == 0) CHECK(y == ones);
  }
}
