// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/training_full_test.cpp: what training_test.cpp leaves out of the matrix of strategies and models.
#include <doctest/doctest.h>

#include "mpi/as_threads.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("training: threads == processes, the rest of the matrix [full]") {
  for_each_strategy([]<class How>() {
    same_as_threads<RunOf<zoo::TiedGptCase, DataParallel<How>>, zoo::TiedGptCase>();
    same_as_threads<RunOf<zoo::HugeAndTinyCase, DataParallel<How>, GradAccum<3>>,
                    zoo::HugeAndTinyCase>();
  });
}

}  // namespace
