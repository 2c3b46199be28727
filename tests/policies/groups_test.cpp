// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/groups_test.cpp: where hooks fire; under Replicate groups change no bit.
#include <cohort/policies/groups.hpp>

#include <doctest/doctest.h>

#include "tied.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Policy<Groups<ByRepeat>> && Policy<Groups<One>> && Policy<Groups<BySize<1, 2>>>);
static_assert(std::is_same_v<Groups<One>::slot, slots::groups>);
static_assert(MinNotAboveMax<2, 2> && !MinNotAboveMax<3, 2>);

namespace {

using namespace tied;
template <class... Ps> using RunOf = GroupsRun<Ps...>;

TEST_CASE("Groups: a Repeat's elements by default, layer types, sizes, or the root alone") {
  // Units: the table, AddPosition, two blocks, LayerNorm.
  static_assert(std::is_same_v<Default::plan_type, RunOf<Groups<ByRepeat>>::plan_type>);
  static_assert(Default::plan_type::num_units == 5 && Default::plan_type::groups.count == 3);
  static_assert(Default::plan_type::groups.of[2] == 1 && Default::plan_type::groups.of[3] == 2);
  static_assert(Default::plan_type::groups.of[0] == 0 && Default::plan_type::groups.of[4] == 0);
  static_assert(Linears::plan_type::groups.count == 1 + 2 * 2);
  static_assert(Linears::plan_type::num_units > Default::plan_type::num_units);
  static_assert(Root::plan_type::groups.count == 1);
  static_assert(Small::plan_type::groups.count > 1);
  // The flat order is the model's; the groups do not move it.
  static_assert(Linears::plan_type::layout.size == Default::plan_type::layout.size);
}

TEST_CASE("Groups: under Replicate every grouping gives the same bits") {
  for (int ranks : {1, 3}) {
    const Setup setup{.ranks = ranks, .each = 2, .steps = 4, .stream = StreamMode::worker};
    const auto expected = train<Default, Case>(setup);
    CHECK(all_same(train<Linears, Case>(setup), expected[0]));
    CHECK(all_same(train<Small, Case>(setup), expected[0]));
    CHECK(all_same(train<Root, Case>(setup), expected[0]));
    for (const Trace& trace : train<Linears, Case>({.ranks = ranks, .each = 2}))
      CHECK(trace.calls == planned_calls<Linears>());
  }
}

}  // namespace
