// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/golden_parity_full_test.cpp: the GPTs of golden_parity_test.cpp with the other number of micro-batches.
#include <doctest/doctest.h>

#include "../golden/parity.hpp"

using namespace cohort;

namespace {

using golden::Tied, golden::Untied;

TEST_CASE("golden: tied head, two micro-batches [full]") { golden::check_parity<Tied, 2>(); }
TEST_CASE("golden: biases, its own head, tanh GELU, one micro-batch [full]") {
  golden::check_parity<Untied, 1>();
}

}  // namespace
