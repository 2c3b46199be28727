// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/bytes_full_test.cpp: bytes handed to MPI and heap taken, every strategy in every mode.
#include <doctest/doctest.h>

#include "mpi/counted.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace counted;

namespace {

TEST_CASE(
    "bytes: what MPI is handed is the formulas' and the plan's, every strategy and mode [full]") {
  SUBCASE("2P") {
    check_bytes<RunOf<Replicate>>("Replicate", {});
    check_bytes<RunOf<Replicate, 3>>("Replicate, 3 micro-batches", {});
    check_bytes<RunOf<ShardOptimizer>>("ShardOptimizer", {2, 2});
    check_bytes<RunOf<ShardOptimizer, 3>>("ShardOptimizer, 3", {2, 2});
    check_bytes<RunOf<ShardGradients>>("ShardGradients", {2, 2});
    check_bytes<RunOf<ShardGradients, 3>>("ShardGradients, 3, unsharded", {2, 2});
    check_bytes<RunOf<FullShardKeepForward, 3>>("FullShardKeepForward, 3, unsharded", {2, 2});
  }
  SUBCASE("(m + 1) P") {
    check_bytes<RunOf<ShardGradients, 3, ReduceEach>>("ShardGradients, each of 3", {4, 4});
  }
  SUBCASE("3P, (2m + 1) P, 3mP; the root is gathered once a step") {
    check_bytes<RunOf<FullShard>>("FullShard", {2, 3});
    check_bytes<RunOf<FullShard, 2>>("FullShard, 2, unsharded", {2, 5});
    check_bytes<RunOf<FullShard, 3>>("FullShard, 3, unsharded", {2, 7});
    check_bytes<RunOf<FullShard, 3, ReduceEach>>("FullShard, each of 3", {4, 9});
  }
  SUBCASE("in bf16, half of all that") {
    check_bytes<RunOf<Replicate, 1, KeepUnsharded, Half>>("Replicate, bf16", {});
    check_bytes<RunOf<ShardGradients, 3, ReduceEach, Half>>("ShardGradients, each of 3, bf16",
                                                            {4, 4});
    check_bytes<RunOf<FullShard, 2, KeepUnsharded, Half>>("FullShard, 2, bf16", {2, 5});
  }
  SUBCASE("3P inside, 2P / F across") {
    if (num_processes() % 2 != 0) return;
    check_bytes<RunOf<HybridShard<2>>>("HybridShard", {2, 3});
    check_bytes<RunOf<HybridShard<2>, 3>>("HybridShard, 3, unsharded", {2, 7});
    check_bytes<RunOf<HybridShard<2>, 3, ReduceEach>>("HybridShard, each of 3", {4, 9});
  }
}

TEST_CASE("bytes: the heap that a run takes is the planned peak, to the byte, every mode [full]") {
  check_heap<RunOf<Replicate>>("Replicate");
  check_heap<RunOf<ShardOptimizer>>("ShardOptimizer");
  check_heap<RunOf<ShardGradients>>("ShardGradients");
  check_heap<RunOf<ShardGradients, 3, ReduceEach>>("ShardGradients, each of 3");
  check_heap<RunOf<FullShard>>("FullShard");
  check_heap<RunOf<FullShard, 3>>("FullShard, 3");
  check_heap<RunOf<Replicate, 1, KeepUnsharded, Half>>("Replicate, bf16");
  check_heap<RunOf<FullShard, 1, KeepUnsharded, Half>>("FullShard, bf16");
  if (num_processes() % 2 == 0) check_heap<RunOf<HybridShard<2>>>("HybridShard");
}

}  // namespace
