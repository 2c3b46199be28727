// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/register_test.cpp: registers hold what the target's do; fma rounds once where it can.
#include <doctest/doctest.h>

#include <cohort/ops/register.hpp>
#include <cstdint>
#include <vector>

using namespace cohort;

using ops::Vec;

static_assert(sizeof(Vec<float>) == ops::register_bytes &&
              sizeof(Vec<double>) == ops::register_bytes);
static_assert(ops::lanes<float> == 2 * ops::lanes<double> && ops::lanes<float> >= 4);
static_assert(std::is_same_v<ops::detail::element_t<Vec<float>>, float> &&
              std::is_same_v<ops::detail::element_t<double>, double>);

TEST_CASE_TEMPLATE("register: a broadcast fills every lane; fma is the scalar's in every lane", T,
                   float, double) {
  Vec<T> a{}, c{};
  for (int i = 0; i < ops::lanes<T>; ++i) a[i] = T(1) + T(i) / 3, c[i] = T(i) - T(0.1);
  const Vec<T> b = ops::broadcast(T(1) / 7), sum = ops::fma(a, b, c),
               same = ops::fma(a, T(1) / 7, c);
  for (int i = 0; i < ops::lanes<T>; ++i) {
    CHECK(b[i] == T(1) / 7);
    CHECK(sum[i] == ops::fma(a[i], b[i], c[i]));
    CHECK(same[i] == sum[i]);
  }
}

TEST_CASE("register: repeat counts at compile time, in order") {
  std::vector<int> seen;
  ops::repeat<4>([&](auto i) {
    static_assert(i < 4);
    seen.push_back(i);
  });
  CHECK(seen == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE_TEMPLATE("register: select takes each lane, or the scalar, where the mask says", T, float,
                   double, std::int32_t) {
  Vec<T> a{}, b{};
  for (int i = 0; i < ops::lanes<T>; ++i) a[i] = T(i % 3), b[i] = T(1 - i % 2);
  const Vec<T> smaller = ops::select(a < b, a, b);
  for (int i = 0; i < ops::lanes<T>; ++i) CHECK(smaller[i] == (a[i] < b[i] ? a[i] : b[i]));
  CHECK(ops::select(T(1) < T(2), T(3), T(4)) == T(3));
  CHECK(ops::select(T(2) < T(1), T(3), T(4)) == T(4));
}

TEST_CASE("register: shuffle takes lanes of two registers; convert_lanes keeps each value") {
  using Four = ops::detail::vector_of<float, 16>::type;
  Four a{}, b{};
  for (int i = 0; i < 4; ++i) a[i] = static_cast<float>(i), b[i] = static_cast<float>(10 + i);
  const Four mixed = ops::detail::shuffle<0, 4, 3, 7>(a, b);
  CHECK((mixed[0] == 0 && mixed[1] == 10 && mixed[2] == 3 && mixed[3] == 13));
  using Whole = ops::detail::vector_of<std::int32_t, 16>::type;
  const auto whole = ops::detail::convert_lanes<Whole>(mixed);
  CHECK((whole[0] == 0 && whole[1] == 10 && whole[2] == 3 && whole[3] == 13));
}
