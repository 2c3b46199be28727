// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/check_sync_full_test.cpp: processes compare what they hold, a larger model under further strategies.
#include <doctest/doctest.h>

#include "mpi/in_sync.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("check_sync: processes, a larger model [full]") {
  finds_one_element<zoo::PartlyFrozenCase, Replicate>();
  finds_one_element<zoo::PartlyFrozenCase, ShardOptimizer>();
  compares_nothing<zoo::PartlyFrozenCase>();
}

}  // namespace
