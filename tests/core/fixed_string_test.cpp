// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/fixed_string_test.cpp: names as types.
#include <doctest/doctest.h>
#include <cohort/core/fixed_string.hpp>

#include <string>
#include <type_traits>

using namespace cohort;

namespace {
static_assert(std::is_same_v<decltype("weight"_p), Name<"weight">>);
static_assert(std::is_empty_v<Name<"weight">>);
static_assert(same_name<Name<"weight">, decltype("weight"_p)>);
// Near misses: a prefix, another case, nothing.
static_assert(!same_name<Name<"weight">, Name<"weigh">>);
static_assert(!same_name<Name<"weight">, Name<"Weight">>);
static_assert(!same_name<Name<"weight">, Name<"">>);
static_assert(!std::is_same_v<Name<"a">, Name<"b">>);
static_assert(fixed_string("abc").view() == "abc" && fixed_string("").view().empty());

template <int... I> std::string joined() {
  std::string out;
  ((out += std::string(IndexName<I>::view()) + " "), ...);
  return out;
}
}  // namespace

TEST_CASE("fixed_string: index names are decimal numbers without leading zeros") {
  CHECK(joined<0, 7, 9, 10, 99, 100, 126, 1000, 65535>() == "0 7 9 10 99 100 126 1000 65535 ");
}

TEST_CASE("fixed_string: an index name equals the literal that a user writes") {
  CHECK(same_name<IndexName<12>, decltype("12"_p)>);
  CHECK(std::is_same_v<IndexName<12>, Name<"12">>);
}
