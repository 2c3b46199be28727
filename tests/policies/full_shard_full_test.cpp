// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/full_shard_full_test.cpp: laws 2, 5 and 7 of FullShard over the whole matrix.
#include <doctest/doctest.h>

#include "full.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {
TEST_CASE("FullShard: laws 2, 5 and 7, the whole matrix [full]") { check_matrix<FullShard>(); }
TEST_CASE("FullShardKeepForward: laws 2, 5 and 7, the whole matrix [full]") {
  check_matrix<FullShardKeepForward>();
}
}  // namespace
