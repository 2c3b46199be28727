// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/state_full_test.cpp: what ranks receive of a larger model, under further strategies.
#include <doctest/doctest.h>

#include "received.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("gather_parameters: rank 0 alone receives what all would, a larger model [full]") {
  rank_0_alone<zoo::PartlyFrozenCase, Replicate>();
  rank_0_alone<zoo::PartlyFrozenCase, ShardOptimizer>();
  rank_0_alone<zoo::PartlyFrozenCase, FullShard>();
}

}  // namespace
