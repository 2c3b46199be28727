// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/training_full_test.cpp: what training_test.cpp leaves out of the matrix of strategies and models.
#include <doctest/doctest.h>

#include "mpi/as_threads.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

template <class How> void the_rest() {
  same_as_threads<RunOf<zoo::TiedGptCase, DataParallel<How>>, zoo::TiedGptCase>();
  same_as_threads<RunOf<zoo::HugeAndTinyCase, DataParallel<How>, GradAccum<3>>,
                  zoo::HugeAndTinyCase>();
}

TEST_CASE("training: threads == processes, the rest of the matrix [full]") {
  SUBCASE("Replicate") { the_rest<Replicate>(); }
  SUBCASE("ShardOptimizer") { the_rest<ShardOptimizer>(); }
  SUBCASE("ShardGradients") { the_rest<ShardGradients>(); }
  SUBCASE("FullShard") { the_rest<FullShard>(); }
  SUBCASE("HybridShard") {
    if (num_processes() % 2 == 0) the_rest<HybridShard<2>>();
  }
}

}  // namespace
