// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/grad_accum_full_test.cpp: three micro-batches, every model and number of ranks.
#include <doctest/doctest.h>

#include "accumulated.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace accumulated;

namespace {

TEST_CASE("GradAccum: three micro-batches, every model and number of ranks [full]") {
  zoo::for_each_case([]<class Case>() {
    INFO(Case::name());
    for (int ranks : {1, 2, 3, 4, 5, 7, 8}) check_accumulation<Case, 3>(ranks);
  });
}
TEST_CASE("GradAccum<3> == GradAccum<1> on the same rows, nested Repeats [full]") {
  for (int ranks : {1, 3}) check_against_one<zoo::NestedRepeatCase, 3>(ranks);
}

}  // namespace
