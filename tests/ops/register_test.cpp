// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/register_test.cpp: registers hold what the target's do; fma rounds once where it can.
#include <doctest/doctest.h>

#include <cohort/ops/register.hpp>
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
