// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/lanes_test.cpp: the class of lanes against the compiler's own vector types.
#include <doctest/doctest.h>
#include <cohort/ops/lanes.hpp>
#include <cohort/ops/register.hpp>
#include <cstdint>
#include <cstring>
#include <random>
#include <type_traits>

namespace {

using cohort::ops::detail::Lanes;

template <class T> using Class = Lanes<T, 16 / static_cast<int>(sizeof(T))>;
template <class T> using Native = typename cohort::ops::detail::vector_of<T, 16>::type;

static_assert(sizeof(Class<float>) == 16 && alignof(Class<float>) == 16);
static_assert(std::is_trivially_copyable_v<Class<double>> && std::is_aggregate_v<Class<double>>);
static_assert(std::is_same_v<decltype(Class<float>{} < 1.0f), Class<std::int32_t>>);
static_assert(std::is_same_v<decltype(1.0 - Class<float>{}), Class<float>>);  // scalars give way
// Lanes of two kinds do not meet, nor lanes with what is no number.
template <class L, class R>
concept Adds = requires(L l, R r) {
  l + r;
};
static_assert(Adds<Class<float>, int> && !Adds<Class<float>, Class<double>>);
static_assert(!Adds<Class<float>, const char*> && !Adds<Class<float>, Lanes<float, 2>>);

template <class A, class B> bool same_bits(const A& a, const B& b) {
  static_assert(sizeof(A) == sizeof(B));
  return std::memcmp(&a, &b, sizeof a) == 0;
}

/// The same random numbers as a class and as a native vector; small ones, so that equal ones occur.
template <class T> struct Pair {
  Class<T> lanes;
  Native<T> native;
  explicit Pair(std::mt19937& random) {
    for (int i = 0; i < Class<T>::num; ++i) {
      const int n = static_cast<int>(random() % 7) - (std::is_signed_v<T> ? 3 : -1);
      lanes[i] = std::is_floating_point_v<T> ? T(n) / 3 : T(n);
    }
    std::memcpy(&native, &lanes, sizeof lanes);
  }
};

}  // namespace

TEST_CASE_TEMPLATE("Lanes: arithmetic and comparisons are those of the compiler's vectors", T,
                   float, double, std::int32_t, std::uint32_t, std::uint16_t) {
  std::mt19937 random(7);
  for (int k = 0; k < 200; ++k) {
    const Pair<T> a(random), b(random);
    T s = b.lanes[0];
    const auto both = [&](auto f) {
      CHECK(same_bits(f(a.lanes, b.lanes), f(a.native, b.native)));
      CHECK(same_bits(f(a.lanes, s), f(a.native, s)));
      CHECK(same_bits(f(s, b.lanes), f(s, b.native)));
    };
    both([](auto x, auto y) { return x + y; });
    both([](auto x, auto y) { return x - y; });
    both([](auto x, auto y) { return x * y; });
    both([](auto x, auto y) { return x < y; });
    both([](auto x, auto y) { return x > y; });
    both([](auto x, auto y) { return x <= y; });
    both([](auto x, auto y) { return x >= y; });
    both([](auto x, auto y) { return x == y; });
    both([](auto x, auto y) { return x != y; });
    CHECK(same_bits(-a.lanes, -a.native));
    auto sum = a.lanes;
    sum += b.lanes;
    sum *= s;
    CHECK(same_bits(sum, (a.native + b.native) * s));
    const auto chosen = choose(a.lanes < b.lanes, a.lanes, b.lanes);
    CHECK(same_bits(chosen, a.native < b.native ? a.native : b.native));
    if constexpr (std::is_floating_point_v<T>) both([](auto x, auto y) { return x / (y + T(10)); });
  }
}

TEST_CASE_TEMPLATE("Lanes: bits and shifts are those of the compiler's vectors", T, std::int32_t,
                   std::uint32_t, std::uint16_t) {
  std::mt19937 random(8);
  for (int k = 0; k < 200; ++k) {
    Pair<T> a(random), b(random);
    for (int i = 0; i < Class<T>::num; ++i) a.lanes[i] = static_cast<T>(random());
    std::memcpy(&a.native, &a.lanes, sizeof a.lanes);
    CHECK(same_bits(a.lanes & b.lanes, a.native & b.native));
    CHECK(same_bits(a.lanes | b.lanes, a.native | b.native));
    CHECK(same_bits(a.lanes ^ b.lanes, a.native ^ b.native));
    CHECK(same_bits(a.lanes & 0x7ff0, a.native & 0x7ff0));
    CHECK(same_bits(a.lanes << 3, a.native << 3));
    CHECK(same_bits(a.lanes >> 3, a.native >> 3));  // of negative numbers: with their sign
  }
}

TEST_CASE("Lanes: a NaN is unequal to itself and below nothing, as in the compiler's vectors") {
  Class<float> x{{__builtin_nanf(""), 1.0f, -0.0f, 2.0f}};
  Native<float> v;
  std::memcpy(&v, &x, sizeof v);
  CHECK(same_bits(x != x, v != v));
  CHECK(same_bits(x < 1.5f, v < 1.5f));
  CHECK(same_bits(x == 0.0f, v == 0.0f));
}
