// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/sharded_full_test.cpp: state by name and evaluation under the strategies that sharded_test.cpp leaves out.
#include <doctest/doctest.h>

#include "asked.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace asked;

namespace {

TEST_CASE("sharded: evaluation, prediction and state by name, further strategies [full]") {
  check_answers<ShardGradients>({1, 3, 4});
  check_answers<FullShardKeepForward>({1, 3, 4});
}

}  // namespace
