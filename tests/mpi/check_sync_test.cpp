// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/check_sync_test.cpp: processes compare what they hold, and find where a NaN began.
#include <cohort/mpi.hpp>

#include <doctest/doctest.h>

#include "mpi/in_sync.hpp"
#include "run/poison.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("check_sync: processes") { finds_one_element<zoo::LittleFrozenCase, ShardOptimizer>(); }

TEST_CASE("DetectAnomaly: every process says which one it was") {
  std::string words;
  try {
    on_processes([&](Mpi& world) {
      using Run = PoisonedRun<FullShard, DetectAnomaly>;
      auto run = Run::on(world, poisoned_options<Run>());
      if (world.rank() == 1) Poison::at = {.where = PoisonAt::gradient, .unit = 1, .element = 5};
      try {
        poisoned_step(run);
      } catch (const std::exception& e) {
        words = e.what();
        throw;
      }
    });
  } catch (const std::exception&) {
  }
  Poison::at = {};
  CHECK_MESSAGE(
      words.find("rank 1: the gradient of '1.1.weight' has 1 NaN of 8 elements, the first "
                 "at 5") != std::string::npos,
      words);
}

}  // namespace
