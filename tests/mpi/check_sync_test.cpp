// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/check_sync_test.cpp: processes compare what they hold, and find where a NaN began.
#include <cohort/mpi.hpp>

#include <doctest/doctest.h>

#include "mpi/support.hpp"
#include "run/poison.hpp"
#include "run/sync_support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::PartlyFrozenCase;
template <class How> using RunOf = ShardedRun<Case, How>;

template <class How> void finds_one_element() {
  on_processes([](Mpi& world) {
    using Run = RunOf<How>;
    auto run = Run::on(world, options_of<Run, Case>({.ranks = world.size()}));
    train_on<Case>(run, 2);
    CHECK(check_sync(run).in_sync());
    const int bad = world.size() - 1;
    if (world.rank() == bad) damage_parameter(run, "7.weight", 40);
    const SyncReport report = check_sync(run);
    REQUIRE_FALSE(report.in_sync());
    CHECK((report.first->name == "7.weight" && report.first->others.size() == 1));
    CHECK((report.first->others[0].rank == bad && report.first->others[0].first == 40));
    CHECK_THROWS_AS(require_sync(run), OutOfSync);
    world.barrier();
  });
}

TEST_CASE("check_sync: processes") {
  finds_one_element<Replicate>();
  finds_one_element<ShardOptimizer>();
  on_processes([](Mpi& world) {
    using Run = RunOf<FullShard>;
    auto run = Run::on(world, options_of<Run, Case>({.ranks = world.size()}));
    train_on<Case>(run, 1);
    CHECK((check_sync(run).in_sync() && check_sync(run).tensors == 0));
  });
}

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
