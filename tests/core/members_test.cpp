// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/members_test.cpp: every member once, in order, whatever its type.
#include <cohort/core/members.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <sstream>
#include <string>

using cohort::detail::count_members;
using cohort::detail::for_each_member;
using cohort::detail::HasMembers;

namespace {

enum class Mode { slow, fast };
struct None {};
struct One {
  double a = 1;
};
struct Inner {
  int x = 4;
  float y = 5;
};
struct Mixed {
  bool nesterov = true;
  double momentum = 0.9;
  Mode mode = Mode::fast;
  std::array<int, 3> sizes{1, 2, 3};
  Inner inner{};
  None none{};
};
struct Twelve {
  int a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12;
};

static_assert(count_members<None>() == 0);
static_assert(count_members<One>() == 1);
static_assert(count_members<Inner>() == 2);
static_assert(count_members<Mixed>() == 6);
static_assert(count_members<Twelve>() == 12);
struct Thirteen {
  Twelve twelve{};
  int a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12;
};
static_assert(HasMembers<Twelve> && HasMembers<Mixed> && HasMembers<None>);
static_assert(!HasMembers<Thirteen> && !HasMembers<int*> && !HasMembers<std::string>);

/// Member N of the first N of twelve; 1 + 2 + ... where all were seen once and in order.
template <class S> constexpr int in_order(const S& s) {
  int seen = 0;
  for_each_member(s, [&](const auto& member) { seen = member == seen + 1 ? member : -1000; });
  return seen;
}
template <int N> struct FirstN;
#define FIRST(n, ...)                                \
  template <> struct FirstN<n> { int __VA_ARGS__; }; \
  static_assert(in_order(FirstN<n>{}) == n);
FIRST(2, a = 1, b = 2)
FIRST(3, a = 1, b = 2, c = 3)
FIRST(4, a = 1, b = 2, c = 3, d = 4)
FIRST(5, a = 1, b = 2, c = 3, d = 4, e = 5)
FIRST(6, a = 1, b = 2, c = 3, d = 4, e = 5, f = 6)
FIRST(7, a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7)
FIRST(8, a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8)
FIRST(9, a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9)
FIRST(10, a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10)
FIRST(11, a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11)
static_assert(in_order(Twelve{}) == 12);

TEST_CASE("for_each_member: members of all kinds in order") {
  std::ostringstream seen;
  for_each_member(Mixed{}, [&](const auto& member) {
    using M = std::remove_cvref_t<decltype(member)>;
    if constexpr (std::is_arithmetic_v<M>)
      seen << member << ' ';
    else if constexpr (std::is_enum_v<M>)
      seen << "mode" << static_cast<int>(member) << ' ';
    else if constexpr (std::is_same_v<M, std::array<int, 3>>)
      seen << member[0] << member[1] << member[2] << ' ';
    else if constexpr (std::is_same_v<M, Inner>)
      for_each_member(member, [&](auto part) { seen << part << ' '; });
  });
  CHECK(seen.str() == "1 0.9 mode1 123 4 5 ");
  int visits = 0;
  for_each_member(None{}, [&](const auto&) { ++visits; });
  CHECK(visits == 0);
}

}  // namespace
