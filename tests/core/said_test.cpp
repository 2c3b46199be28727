// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/said_test.cpp: a sentence is bound to a type, and saying it costs nothing at run time.
#include <doctest/doctest.h>
#include <cohort/core/said.hpp>

#include <type_traits>

using namespace cohort;

namespace {
int times = 0;
struct Mistake {
  static void say() { ++times; }
};
static_assert(!detail::never<int> && !detail::never<> && !detail::never<int, Mistake>);
static_assert(std::is_same_v<decltype(detail::never<int>), const bool>);
static_assert(detail::said<Mistake>());  // usable where a constant is wanted
struct Declared;
static_assert(detail::IsComplete<Mistake> && !detail::IsComplete<Declared>);
}  // namespace

TEST_CASE("said: the sentence is instantiated, not executed, unless asked for") {
  CHECK(detail::said<Mistake>());
  CHECK(times == 0);
  CHECK(detail::said<Mistake>(true));
  CHECK(times == 1);
}
