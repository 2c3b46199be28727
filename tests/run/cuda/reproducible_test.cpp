// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/reproducible_test.cpp: one rank and two, that share a GPU, train with the bits of four.
#include <doctest/doctest.h>

#include "agreement.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("GPU: Reproducible, the bits of four ranks on one and two; drops, averages, the loss") {
  using Case = zoo::DroppingNormedCase;
  const auto expected =
      train_on_gpu<RunOf<Case, Replicate>, Case>({.ranks = 4, .each = 3, .steps = 4});
  CHECK_FALSE(same_bits(expected[0].start, expected[0].parameters));
  for (const int ranks : {1, 2, 4}) {
    CAPTURE(ranks);
    const Setup setup{.ranks = ranks, .each = 12 / ranks, .steps = 4};
    const auto all = train_on_gpu<RunOf<Case, FullShard, Reproducible<4>>, Case>(setup);
    CHECK(all_same(all, expected[0]));
  }
}

}  // namespace
