// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/execution_full_test.cpp: what execution_test.cpp asks, in bf16 under FullShard.
#include <doctest/doctest.h>

#include "in_place.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("loss: written over an output that nobody keeps, FullShard in bf16 [full]") {
  check_in_place<zoo::TiedGptCase, DataParallel<FullShard>, GradAccum<3>, MixedPrecision<bf16>>();
}

}  // namespace
