// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/tree_order_full_test.cpp: on Threads TreeOrder changes no bit and no collective.
#include <doctest/doctest.h>

#include "../run/support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using zoo::OddMlpCase;
template <class... Ps> using RunOf = Trainer<OddMlpCase::Model, OddMlpCase::Loss, Ps...>;
using Ordered = RunOf<TreeOrder>;
using Plain = RunOf<>;

TEST_CASE("TreeOrder: on Threads the same bits and collectives as without it [full]") {
  const Setup setup{.ranks = 3, .steps = 3};
  const auto plain = train<Plain, OddMlpCase>(setup);
  const auto ordered = train<Ordered, OddMlpCase>(setup);
  CHECK_FALSE(same_bits(plain[0].start, plain[0].parameters));
  CHECK(all_same(ordered, plain[0]));
  CHECK(ordered[1].calls == plain[1].calls);
}

}  // namespace
