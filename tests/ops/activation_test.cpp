// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/activation_test.cpp: what holds for every function of single elements, and one of a user's own.
#include <doctest/doctest.h>

#include <cohort/ops/activation.hpp>
#include <cohort/ops/gelu.hpp>
#include <cohort/ops/relu.hpp>
#include <cohort/ops/silu.hpp>

#include "own_function.hpp"
#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("activation: an element's bits depend neither on its position nor on the length",
                   F, ops::Relu, ops::GeluErf, ops::GeluTanh, ops::Silu, LeakySquare) {
  const auto x = normal<float>(200, 3), dy = normal<float>(200, 4);
  std::vector<float> y(200), dx(200);
  ops::activation_forward<F>(cpu, 200, x.data(), y.data());
  ops::activation_backward<F>(cpu, 200, x.data(), dy.data(), dx.data());
  for (std::size_t first : {1, 5, 16, 33})
    for (std::size_t n : {1, 7, 40}) {
      std::vector<float> y1(n), dx1(n);
      ops::activation_forward<F>(cpu, n, x.data() + first, y1.data());
      ops::activation_backward<F>(cpu, n, x.data() + first, dy.data() + first, dx1.data());
      CHECK(same_bits(y1.data(), y.data() + first, n));
      CHECK(same_bits(dx1.data(), dx.data() + first, n));
    }
}

TEST_CASE_TEMPLATE(
    "activation: value and slope together have the bits of each alone, also in place", F,
    ops::GeluErf, ops::GeluTanh, ops::Silu) {
  for (std::size_t n : {1, 16, 37, 200}) {
    const auto x = normal<float>(n, 5, 3.0);
    const std::vector<float> one(n, 1.0f);
    std::vector<float> y(n), dx(n), slope(n), in_place = x;
    ops::activation_forward<F>(cpu, n, x.data(), y.data());
    ops::activation_backward<F>(cpu, n, x.data(), one.data(), dx.data());
    ops::activation_forward<F>(cpu, n, in_place.data(), in_place.data(), slope.data());
    CHECK(same_bits(in_place, y));
    CHECK(same_bits(slope, dx));
  }
}

TEST_CASE_TEMPLATE("activation: 16-bit values are the fp32 ones rounded once", T, bf16, fp16) {
  const auto check = []<class F>(F) {
    const auto x = normal<T>(1003, 1, 3.0), dy = normal<T>(1003, 2);
    const auto x32 = as<float>(x), dy32 = as<float>(dy);
    std::vector<T> y(x.size()), dx(x.size());
    std::vector<float> y32(x.size()), dx32(x.size());
    ops::activation_forward<F>(cpu, x.size(), x.data(), y.data());
    ops::activation_backward<F>(cpu, x.size(), x.data(), dy.data(), dx.data());
    ops::activation_forward<F>(cpu, x.size(), x32.data(), y32.data());
    ops::activation_backward<F>(cpu, x.size(), x32.data(), dy32.data(), dx32.data());
    CHECK(same_bits(y, as<T>(y32)));
    CHECK(same_bits(dx, as<T>(dx32)));
  };
  check(ops::Relu{});
  check(ops::Silu{});
  check(LeakySquare{});
}

TEST_CASE_TEMPLATE("activation: a function of one's own: its value, and dy times its slope", T,
                   float, double) {
  const std::vector<T> x = {-2, 0, 0.5, 3, T(NAN)}, dy(5, T(-4));
  std::vector<T> y(5), dx(5);
  ops::activation_forward<LeakySquare>(cpu, 5, x.data(), y.data());
  ops::activation_backward<LeakySquare>(cpu, 5, x.data(), dy.data(), dx.data());
  CHECK((std::isnan(y[4]) && std::isnan(dx[4])));
  y.pop_back(), dx.pop_back();
  CHECK(y == std::vector<T>{-0.25, 0, 0.25, 9});
  CHECK(dx == std::vector<T>{-0.5, 0, -4, -24});
}
