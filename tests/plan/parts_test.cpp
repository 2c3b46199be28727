// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/parts_test.cpp: which numbers of ranks may stand for how many.
#include <cohort/plan/parts.hpp>

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::detail;

static_assert(parts_of(8, 8) == 1 && parts_of(8, 4) == 2 && parts_of(8, 1) == 8);
static_assert(parts_of(8, 3) == 0 && parts_of(8, 16) == 0 && parts_of(8, 0) == 0);
static_assert(parts_of(12, 3) == 4 && parts_of(12, 6) == 2 && parts_of(12, 4) == 0);
static_assert(parts_of(12, 1) == 0 && parts_of(7, 7) == 1 && parts_of(7, 1) == 0);
static_assert(parts_on(2, 8) == 4);

TEST_CASE("parts: whoever cannot share them is told which numbers can") {
  CHECK(counts_for(8) == "8, 4, 2 or 1");
  CHECK(counts_for(12) == "12, 6 or 3");
  CHECK(counts_for(2) == "2 or 1");
  CHECK(counts_for(7) == "7");
  CHECK(parts_on(3, 24) == 8);
  CHECK_THROWS_WITH_AS((void)parts_on(4, 12),
                       doctest::Contains("Reproducible<12> trains on 12, 6 or 3 ranks, and there "
                                         "are 4: start as many, or give it another number."),
                       InvalidInput);
}
