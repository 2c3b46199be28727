// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/bytes_test.cpp: bytes handed to MPI and heap taken, counted from outside, are the plan's.
// bytes_full_test.cpp has every strategy in every mode.
#include <doctest/doctest.h>

#include "mpi/counted.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace counted;

namespace {

TEST_CASE("bytes: what MPI is handed is the formulas' and the plan's, every strategy") {
  SUBCASE("2P") {
    check_bytes<RunOf<Replicate>>("Replicate", {});
    check_bytes<RunOf<ShardOptimizer, 3>>("ShardOptimizer, 3", {2, 2});
  }
  SUBCASE("(m + 1) P") {
    check_bytes<RunOf<ShardGradients, 3, ReduceEach>>("ShardGradients, each of 3", {4, 4});
  }
  SUBCASE("(2m + 1) P, in bf16 half of it; the root is gathered once a step") {
    check_bytes<RunOf<FullShard, 3>>("FullShard, 3, unsharded", {2, 7});
    check_bytes<RunOf<FullShard, 2, KeepUnsharded, Half>>("FullShard, 2, bf16", {2, 5});
  }
  SUBCASE("3P inside, 2P / F across") {
    if (num_processes() % 2 != 0) return;
    check_bytes<RunOf<HybridShard<2>>>("HybridShard", {2, 3});
  }
}

TEST_CASE("bytes: the heap that a run takes is the planned peak, to the byte; steps take none") {
  check_heap<RunOf<Replicate>>("Replicate");
  check_heap<RunOf<ShardOptimizer, 3>>("ShardOptimizer, 3");
  check_heap<RunOf<ShardGradients, 3, ReduceEach>>("ShardGradients, each of 3");
  check_heap<RunOf<FullShard, 3>>("FullShard, 3");
  check_heap<RunOf<FullShard, 2, KeepUnsharded, Half>>("FullShard, 2, bf16");
  if (num_processes() % 2 == 0) check_heap<RunOf<HybridShard<2>>>("HybridShard");
}

}  // namespace
