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
