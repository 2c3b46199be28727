// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/tree_order_test.cpp: TreeOrder is what Threads do anyway, and a plan that ranks cannot mistake.
#include <cohort/policies/tree_order.hpp>

#include <doctest/doctest.h>

#include <cohort/plan/print.hpp>
#include <cohort/trainer.hpp>
#include <sstream>

#include "../support/models.hpp"

using namespace cohort;

static_assert(Policy<Fastest> && Policy<TreeOrder>);

namespace {

using zoo::OddMlpCase;
template <class... Ps> using RunOf = Trainer<OddMlpCase::Model, OddMlpCase::Loss, Ps...>;
using Ordered = RunOf<TreeOrder>;
using Plain = RunOf<>;

/// A policy of a user's for the slot that does not say whether it is the tree.
struct Unsaid {
  using slot = slots::order;
  static constexpr int ranks = 0;
};
static_assert(HasHooks<TreeOrder> && HasHooks<Fastest> && !HasHooks<Unsaid>);

// On a CPU nothing is exchanged for it, and no rank mistakes one for the other.
static_assert(Ordered::plan.exchange_bytes(8) == 0 && Ordered::plan.in_tree_order);
static_assert(Ordered::plan.peak_bytes({.ranks = 3, .batch = 6}) ==
              Plain::plan.peak_bytes({.ranks = 3, .batch = 6}));
static_assert(Ordered::plan.hash() != Plain::plan.hash());
static_assert(Plain::plan.hash() == RunOf<Fastest>::plan.hash());
static_assert(Ordered::plan.hash() != RunOf<Reproducible<1>>::plan.hash());

TEST_CASE("TreeOrder: the printed plan says it") {
  std::ostringstream with, without;
  print(Ordered::plan, {.ranks = 2, .batch = 4}, with);
  print(Plain::plan, {.ranks = 2, .batch = 4}, without);
  CHECK(with.str().find("order: sums over ranks are a tree\n") != std::string::npos);
  CHECK(without.str().find("order:") == std::string::npos);
}

}  // namespace
