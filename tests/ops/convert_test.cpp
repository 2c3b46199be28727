// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/convert_test.cpp: arrays convert as their elements do; random rounding has the right mean.
#include <cohort/ops/convert.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace cohort;

namespace {

std::vector<float> floats(std::size_t n) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i)
    x[i] = std::bit_cast<float>(static_cast<std::uint32_t>(random_bits(3, 0, i)));
  return x;
}

TEST_CASE_TEMPLATE("convert: every element as its own conversion, at any length and offset", T,
                   bf16, fp16) {
  const Cpu<void> cpu{};
  const auto x = floats(3000);  // all kinds of numbers, infinities and NaN among them
  for (std::size_t n : {0, 1, 15, 16, 17, 33, 1000, 2991}) {
    for (std::size_t offset : {0, 1, 7}) {
      std::vector<T> narrow(n);
      std::vector<float> wide(n);
      ops::convert(cpu, n, x.data() + offset, narrow.data());
      ops::convert(cpu, n, narrow.data(), wide.data());
      int wrong = 0;
      for (std::size_t i = 0; i < n; ++i) {
        wrong += narrow[i].bits != T(x[offset + i]).bits;
        wrong += std::bit_cast<std::uint32_t>(wide[i]) !=
                 std::bit_cast<std::uint32_t>(float(T(x[offset + i])));
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("round_at_random: over all random bits the mean is the number, to the last bit") {
  for (float x : {1.0f, 1.00390625f, -3.14159274f, 0x1.fffffep10f, 0x1p-130f, 0.0f, -1e-42f}) {
    double sum = 0;
    float low = std::numeric_limits<float>::infinity(), high = -low;
    for (std::uint32_t r = 0; r < 0x10000; ++r) {
      const float y = float(ops::round_at_random(x, r));
      sum += y;  // 2^16 numbers of 8 bits: exact in double
      low = std::min(low, y);
      high = std::max(high, y);
    }
    CHECK(sum / 0x10000 == double(x));
    CHECK(low <= x);
    CHECK(x <= high);
  }
  constexpr float inf = std::numeric_limits<float>::infinity();
  CHECK(ops::round_at_random(inf, 0xffff).bits == 0x7f80);
  CHECK(std::isnan(float(ops::round_at_random(std::bit_cast<float>(0x7f800001u), 0xffff))));
}

TEST_CASE(
    "convert_at_random: element (seed, stream, first + i) uses its 16 bits of Philox, at any "
    "length") {
  const Cpu<void> cpu{};
  auto x = floats(700);
  for (std::size_t i = 7; i < x.size(); i += 50) {
    x[i] = std::numeric_limits<float>::infinity();
    x[i + 1] = std::bit_cast<float>(0xff800001u);  // signalling NaN
    x[i + 2] = std::bit_cast<float>(0x7fffffffu);  // adding to it would carry into the sign
    x[i + 3] = 3e-41f;
  }
  int wrong = 0, nans = 0;
  for (std::uint64_t first : {std::uint64_t{0}, std::uint64_t{5}, (std::uint64_t{1} << 35) - 9})
    for (std::size_t n : {1, 8, 100, 128, 300, 699}) {
      std::vector<bf16> y(n + 1, bf16(7.0f));
      ops::convert_at_random(cpu, n, x.data(), y.data(), 9, 4, first);
      for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t index = first + i;
        const std::uint32_t word = Philox(9)(4, index / 8)[index % 8 / 2];
        wrong += y[i].bits != ops::round_at_random(x[i], word >> (16 * (index % 2))).bits;
        nans += std::isnan(x[i]);
      }
      wrong += float(y[n]) != 7.0f;
    }
  CHECK(wrong == 0);
  CHECK(nans > 0);
}

TEST_CASE("convert_at_random: shards of an array get the bits of the whole") {
  const Cpu<void> cpu{};
  std::vector<float> x(1000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = uniform01(1, 0, i);
  std::vector<bf16> whole(x.size()), other(x.size());
  ops::convert_at_random(cpu, x.size(), x.data(), whole.data(), 9, 4, 0);
  ops::convert_at_random(cpu, x.size(), x.data(), other.data(), 9, 5, 0);
  int same_as_other = 0, rounded_up = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    same_as_other += whole[i].bits == other[i].bits;
    rounded_up += float(whole[i]) > x[i];
  }
  CHECK(same_as_other < 700);  // about half by chance: deviation 16
  CHECK(rounded_up > 400);
  CHECK(rounded_up < 600);  // half, deviation 16: six deviations
  for (std::size_t begin : {1, 5, 8, 123, 999}) {
    std::vector<bf16> part(x.size() - begin);
    ops::convert_at_random(cpu, part.size(), x.data() + begin, part.data(), 9, 4, begin);
    int wrong = 0;
    for (std::size_t i = 0; i < part.size(); ++i) wrong += part[i].bits != whole[begin + i].bits;
    CHECK(wrong == 0);
  }
}

}  // namespace
