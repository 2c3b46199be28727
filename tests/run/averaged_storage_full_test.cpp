// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/averaged_storage_full_test.cpp: averages over the global batch, under further strategies.
#include <doctest/doctest.h>

#include "../policies/replicated.hpp"
#include "averages.hpp"

using namespace cohort;
using namespace cohort::test;

TEST_CASE("averages: the same bits with part of the state in shards, on a worker or not [full]") {
  using Case = zoo::AveragingCase;
  for (const int ranks : {1, 2, 3, 5}) {
    check_like_replicate<Case, ShardOptimizer, 2>(ranks, {StreamMode::worker});
    check_like_replicate<Case, ShardGradients, 2>(ranks, {StreamMode::on_compute_thread});
  }
}
