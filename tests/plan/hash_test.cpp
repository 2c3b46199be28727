// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/hash_test.cpp: names, extents, numbers of elements and rates are in the hash of a model.
#include <cohort/plan/hash.hpp>

#include <doctest/doctest.h>

#include <cohort/core/params.hpp>

using namespace cohort;
using detail::hash_names, detail::hash_type;

namespace {
template <class P> struct Holds { using Params = cohort::Params<P>; };
template <int N> struct Times {
  static constexpr int repeat = N;
  using Element = Holds<Param<"w", 3>>;
};
}  // namespace

static_assert(hash_names<Holds<Param<"w", 3>>>(1) != hash_names<Holds<Param<"v", 3>>>(1));
static_assert(hash_names<Holds<Param<"w", 3>>>(1) != hash_names<Holds<Param<"w", 4>>>(1));
static_assert(hash_names<Holds<Param<"w", 3>>>(1) != hash_names<Holds<Param<"w", 3, 1>>>(1));
static_assert(hash_names<Holds<Param<"w", 3>>>(1) == hash_names<Holds<Param<"w", 3>>>(1));
static_assert(hash_type<int>(1) != hash_type<long>(1) && hash_type<int>(1) != hash_type<int>(2));

static_assert(hash_names<Times<2>>(1) != hash_names<Times<3>>(1));

TEST_CASE("hash: as many numbers are mixed, in their order") {
  CHECK(detail::mix(detail::mix(1, 2), 3) != detail::mix(detail::mix(1, 3), 2));
}
