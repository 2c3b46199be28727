// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/float16_lanes_test.cpp: the conversions of registers are those that the types define.
#include <doctest/doctest.h>

#include <bit>
#include <cohort/ops/vector.hpp>
#include <random>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

using ops::Vec;

namespace {
/// What decides about rounding, in all binades: numbers of T, ties, one float beside either, and other
/// bits; denormals, infinities and all kinds of NaN among them.
template <class T> std::vector<float> decisive_floats() {
  constexpr int dropped = std::is_same_v<T, bf16> ? 16 : 13;
  std::mt19937 random(7);
  std::vector<float> x;
  for (std::uint32_t high = 0; high < (1u << (32 - dropped)); ++high)
    for (std::uint32_t low : {0u, 1u, (1u << (dropped - 1)) - 1, 1u << (dropped - 1),
                              (1u << (dropped - 1)) + 1, (1u << dropped) - 1})
      x.push_back(std::bit_cast<float>(high << dropped | low));
  for (int exponent = 0x66; exponent <= 0x72; ++exponent)  // where fp16 has fewer bits, every tie
    for (std::uint32_t m = 0; m < 0x800000; m += 0x1000)
      x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(exponent) << 23 | m));
  for (int i = 0; i < 200'000; ++i)
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  return x;
}
std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
}  // namespace

TEST_CASE_TEMPLATE(
    "float16_lanes: all 65,536 values of a 16-bit type are loaded as they are defined", T, bf16,
    fp16) {
  constexpr int n = ops::lanes<float>;
  int wrong = 0;
  for (std::uint32_t first = 0; first < 0x10000; first += n) {
    T from[n];
    for (int i = 0; i < n; ++i)
      from[i] = T::from_bits(static_cast<std::uint16_t>(first + static_cast<std::uint32_t>(i)));
    const Vec<float> v = ops::load(static_cast<const T*>(from));
    for (int i = 0; i < n; ++i) wrong += bits(v[i]) != bits(float(from[i]));
  }
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("float16_lanes: stores to a 16-bit type round every float as it is defined", T,
                   bf16, fp16) {
  constexpr int n = ops::lanes<float>;
  auto x = decisive_floats<T>();
  x.resize(x.size() / n * n);
  int wrong = 0, nans = 0;
  for (std::size_t at = 0; at < x.size(); at += n) {
    T to[n];
    ops::store(to, ops::load(x.data() + at));
    for (std::size_t i = 0; i < n; ++i) {
      wrong += to[i].bits != T(x[at + i]).bits;
      nans += std::isnan(x[at + i]);
    }
  }
  CHECK(wrong == 0);
  CHECK(nans > 1000);
}

TEST_CASE("float16_lanes: upper halves are put and taken in place") {
  constexpr int n = ops::lanes<float>;
  Vec<std::uint32_t> u{};
  for (int i = 0; i < n; ++i) u[i] = 0xabcd1234u + 0x00010000u * static_cast<std::uint32_t>(i);
  const auto halves = ops::detail::upper_halves(u);
  const auto back = ops::detail::as_upper_halves(halves);
  for (int i = 0; i < n; ++i) {
    CHECK(halves[i] == 0xabcd + i);
    CHECK(back[i] == (u[i] & 0xffff0000u));
  }
}
