// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/exact_sum_test.cpp: order, carries, rounding and invalid values, against IEEE and Python.
#include <doctest/doctest.h>

#include <bit>
#include <cohort/ops/exact_sum.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
double sum_of(const std::vector<double>& v) {
  ops::ExactSum s;
  for (double x : v) s.add(x);
  return s.value();
}
}  // namespace

TEST_CASE("exact_sum: one number comes back as it went in") {
  std::mt19937_64 engine(1);
  for (int i = 0; i < 200000; ++i) {
    const double x = std::bit_cast<double>(engine() & 0x7fffffffffffffff);
    if (std::isfinite(x)) REQUIRE(sum_of({x}) == x);
  }
  for (double x : {0.0, 4.9406564584124654e-324, 2.2250738585072014e-308, 2.2250738585072009e-308,
                   1.7976931348623157e308, 1.0, 4294967296.0})
    CHECK(sum_of({x}) == x);
  CHECK(sum_of({}) == 0.0);
  CHECK(sum_of({-0.0}) == 0.0);
}

TEST_CASE("exact_sum: two numbers round as IEEE addition does, once") {
  std::mt19937_64 engine(2);
  for (int i = 0; i < 200000; ++i) {
    const std::uint64_t base = engine() % 2046, other = (base + engine() % 60) % 2046;
    const double a = std::bit_cast<double>((base << 52) | (engine() >> 12));
    const double b = std::bit_cast<double>((other << 52) | (engine() >> 12));
    REQUIRE(sum_of({a, b}) == a + b);
  }
}

// Python: math.fsum([1e16, 1.0, 1.0, 1e-30]) == 1.0000000000000002e+16, where a loop gives 1e16.
TEST_CASE("exact_sum: ties go to even, anything below a tie counts") {
  CHECK(sum_of({1e16, 1.0, 1.0, 1e-30}) == 1.0000000000000002e+16);
  CHECK(sum_of({9007199254740992.0, 1.0}) == 9007199254740992.0);  // 2^53 + 1 is a tie
  CHECK(sum_of({9007199254740992.0, 1.0, 5e-324}) == 9007199254740994.0);
  CHECK(sum_of({9007199254740994.0, 1.0}) == 9007199254740996.0);
}

TEST_CASE("exact_sum: order, grouping, merging and carrying change no bit") {
  std::vector<double> v = normal<double>(5000, 3);
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = std::ldexp(v[i] * v[i], static_cast<int>(i * 7 % 900) - 450);
  const double want = sum_of(v);
  std::shuffle(v.begin(), v.end(), std::mt19937_64(4));
  CHECK(sum_of(v) == want);
  ops::ExactSum parts[3], total;
  for (std::size_t i = 0; i < v.size(); ++i) parts[i % 3].add(v[i]);
  parts[1].normalize();
  for (std::size_t i = 0; i < total.limbs().size(); ++i)  // what an all-reduce over int64 does
    for (const auto& part : parts) total.limbs()[i] += part.limbs()[i];
  CHECK(total.value() == want);
  parts[0].add(parts[1]);
  parts[0].add(parts[2]);
  CHECK(parts[0].value() == want);
}

TEST_CASE("exact_sum: 2^31 additions do not overflow a limb") {
  const double x = std::bit_cast<double>(std::uint64_t{0x3fffffffffffffff});  // just below 2
  ops::ExactSum s;
  s.add(x);
  for (int i = 0; i < 31; ++i) s.add(ops::ExactSum(s));  // doubled 31 times
  for (auto limb : s.limbs()) CHECK(limb >= 0);
  CHECK(s.value() == std::ldexp(x, 31));
}

TEST_CASE("exact_sum: NaN, infinity and negative numbers never pass silently") {
  for (double bad : {double(NAN), -double(NAN), double(INFINITY), -double(INFINITY), -1.0, -5e-324})
    CHECK(std::isnan(sum_of({1.0, bad, 2.0})));
}

TEST_CASE("exact_sum: beyond the largest double the value is infinite") {
  const double largest = 1.7976931348623157e308, half_unit = 9.9792015476735991e291;  // 2^970
  REQUIRE(half_unit == std::ldexp(1.0, 970));
  CHECK(std::isinf(sum_of({largest, largest})));
  CHECK(std::isinf(sum_of(std::vector<double>(1000, largest))));
  CHECK(sum_of({largest, 9.9e291}) == largest);
  CHECK(std::isinf(sum_of({largest, half_unit})));  // the tie goes to the even side, as in IEEE
}

static_assert([] {  // usable in constant expressions
  ops::ExactSum s;
  s.add(0.5);
  s.add(0.25);
  return s.value() == 0.75;
}());
