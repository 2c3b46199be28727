// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/step_times_test.cpp: sums of times, shares, and ranks compared.
#include <cohort/run/step_times.hpp>

#include <doctest/doctest.h>

#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>

using namespace cohort;

namespace {

TEST_CASE("StepTimes: sums, and the share that compute waited") {
  StepTimes sum;
  CHECK(sum.communication_share() == 0);  // nothing was measured
  sum += {1, 4.0, 2.0, 1.0};
  sum += {1, 4.0, 4.0, 3.0};
  CHECK(sum.steps == 2);
  CHECK(sum.step_s == 8);
  CHECK(sum.comm_s == 6);
  CHECK(sum.communication_share() == 0.5);
}

TEST_CASE("scaling_efficiency: 1 is linear") {
  static_assert(scaling_efficiency(4, 400, 100) == 1);
  static_assert(scaling_efficiency(4, 300, 100) == 0.75);
}

TEST_CASE("times_of_all_ranks: means and maxima of mean steps, the same on every rank") {
  launch<Threads>({.ranks = 4}, [](Threads& world) {
    const double r = world.rank();
    const StepTimes sum{2, 8, 2 * r, 2 * (3 - r)};  // of two steps
    const WorldTimes times = detail::times_of_all_ranks(world, sum);
    CHECK(times.ranks == 4);
    CHECK(times.mean.steps == 1);
    CHECK(times.mean.step_s == 4);
    CHECK(times.mean.comm_s == 1.5);  // 0 1 2 3
    CHECK(times.mean.exposed_comm_s == 1.5);
    CHECK(times.most.step_s == 4);
    CHECK(times.most.comm_s == 3);          // of rank 3
    CHECK(times.most.exposed_comm_s == 3);  // of rank 0
    CHECK(times.communication_share() == 0.375);
    CHECK(times.compute_share() == 0.625);
    CHECK(detail::times_of_all_ranks(world, {}).communication_share() == 0);
  });
}

}  // namespace
