// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/check_gradients_full_test.cpp: every model of the zoo, by differences.
#include <doctest/doctest.h>

#include "checked.hpp"

using namespace cohort;

namespace {

TEST_CASE("check_gradients: every model of the zoo passes, for other seeds and rows too [full]") {
  zoo::for_each_case([]<class Case>() { test::check_case<Case>(); });
}

}  // namespace
