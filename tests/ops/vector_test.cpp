// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/vector_test.cpp: loads, stores, lane sums and the tail of map.
#include <doctest/doctest.h>

#include <cohort/ops/vector.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

using ops::Vec;

TEST_CASE_TEMPLATE("vector: every element passes through map once, for every length and offset", T,
                   float, double) {
  for (std::size_t offset = 0; offset < 4; ++offset)
    for (std::size_t n = 0; n < 70; ++n) {
      std::vector<T> x(offset + n + 1, T(7)), y(offset + n + 1, T(-1));
      for (std::size_t i = 0; i < n; ++i) x[offset + i] = T(i);
      ops::map(
          n, [](auto v) { return v * 2 + 1; }, y.data() + offset,
          static_cast<const T*>(x.data() + offset));
      for (std::size_t i = 0; i < n; ++i) REQUIRE(y[offset + i] == T(2 * i + 1));
      REQUIRE(y[offset + n] == T(-1));  // nothing is written behind the end
    }
}

TEST_CASE_TEMPLATE("vector: lane sums and maxima use every lane once", T, float, double) {
  Vec<T> v{};
  T sum = 0;
  for (int i = 0; i < ops::lanes<T>; ++i) sum += v[i] = T(1 << i);
  CHECK(ops::sum_lanes<T>(v) == sum);
  for (int i = 0; i < ops::lanes<T>; ++i) {
    Vec<T> w = ops::broadcast(T(-5));
    w[i] = T(-4);
    CHECK(ops::max_lanes<T>(w) == T(-4));
  }
}

TEST_CASE("vector: for_vectors covers a row exactly") {
  int seen = 0, calls = 0;
  ops::for_vectors<100, float>([&](int c, auto count) {
    CHECK(c == seen);
    seen += count;
    ++calls;
  });
  CHECK(seen == 100);
  CHECK(calls == (100 + ops::lanes<float> - 1) / ops::lanes<float>);
}

TEST_CASE_TEMPLATE(
    "vector: the first n of a 16-bit row: their bits, fill behind them, no other write", T, bf16,
    fp16) {
  constexpr int lanes = ops::lanes<float>;
  for (int n = 0; n < lanes; ++n)
    for (float fill : {0.0f, -INFINITY}) {
      const auto from = normal<T>(static_cast<std::size_t>(n), n + 1);  // ends behind element n
      const Vec<float> v = ops::load_first(from.data(), n, fill);
      std::vector<T> to(lanes, T(77.0f));
      ops::store_first(to.data(), v, n);
      for (int i = 0; i < lanes; ++i) {
        REQUIRE(v[i] == (i < n ? float(from[static_cast<std::size_t>(i)]) : fill));
        REQUIRE(to[static_cast<std::size_t>(i)].bits ==
                (i < n ? from[static_cast<std::size_t>(i)] : T(77.0f)).bits);
      }
    }
}

TEST_CASE_TEMPLATE("vector: map over 16-bit arrays computes in float, rounds once, at any length",
                   T, bf16, fp16) {
  for (std::size_t offset = 0; offset < 3; ++offset)
    for (std::size_t n = 0; n < 70; ++n) {
      const auto x = normal<T>(offset + n, 1), z = normal<T>(offset + n, 2);
      std::vector<T> y(offset + n + 1, T(-1.0f));
      ops::map(
          n, [](auto u, auto v) { return ops::fma(u, v, u * 0.37f); }, y.data() + offset,
          x.data() + offset, z.data() + offset);
      for (std::size_t i = 0; i < n; ++i) {
        const float u = float(x[offset + i]), v = float(z[offset + i]);
        REQUIRE(y[offset + i].bits == T(ops::fma(u, v, u * 0.37f)).bits);
      }
      REQUIRE(y[offset + n].bits == T(-1.0f).bits);
    }
}

TEST_CASE("vector: a row of the accumulator type is itself, another is copied in full") {
  const auto x = normal<float>(37, 1);
  float wide[37] = {};
  CHECK(ops::widened<37>(x.data(), wide) == x.data());
  CHECK(wide[0] == 0);
  const auto y = as<bf16>(x);
  CHECK(ops::widened<37>(y.data(), wide) == wide);
  for (std::size_t i = 0; i < 37; ++i) CHECK(wide[i] == float(y[i]));
}
