// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/in_sync.hpp: what the tests of check_sync ask of processes, in both tiers.
#pragma once
#include <cohort/mpi.hpp>

#include <doctest/doctest.h>

#include "mpi/support.hpp"
#include "run/sync_support.hpp"

namespace cohort::test {

template <class Case, class How> void finds_one_element() {
  on_processes([](Mpi& world) {
    using Run = ShardedRun<Case, How>;
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

/// Where nothing is held twice nothing is compared.
template <class Case> void compares_nothing() {
  on_processes([](Mpi& world) {
    using Run = ShardedRun<Case, FullShard>;
    auto run = Run::on(world, options_of<Run, Case>({.ranks = world.size()}));
    train_on<Case>(run, 1);
    CHECK((check_sync(run).in_sync() && check_sync(run).tensors == 0));
  });
}

}  // namespace cohort::test
