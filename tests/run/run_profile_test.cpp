// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/run_profile_test.cpp: the times of a run, summed up, forgotten, and compared over ranks.
#include <cohort/run/run_profile.hpp>

#include <doctest/doctest.h>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::OddMlpCase;
using Run = Trainer<Case::Model, Case::Loss, Timed>;

static_assert(std::is_same_v<Run::execution<Threads>::Report, TimedReport>);
static_assert(
    std::is_same_v<Trainer<Case::Model, Case::Loss>::execution<Threads>::Report, StepReport>);

TEST_CASE("times: the sum of what steps reported, since the run was made or they were forgotten") {
  on_ranks<Run>(2, options_of<Run, Case>({.each = 2}), [](auto& run, World& world) {
    const zoo::Batch<Case> batch(4);
    const auto step = [&] {
      return run.step(batch.x().samples(2 * world.rank(), 2),
                      batch.y().samples(2 * world.rank(), 2));
    };
    CHECK(run.times().steps == 0);
    StepTimes sum;
    for (int i = 0; i < 3; ++i) {
      const TimedReport r = step();
      CHECK(r.step == i + 1);
      CHECK(r.step_s > 0);
      sum += r;
    }
    CHECK(run.times().steps == 3);
    CHECK(run.times().step_s == sum.step_s);
    CHECK(run.times().exposed_comm_s == sum.exposed_comm_s);
    run.forget_times();
    CHECK(run.times().steps == 0);
    CHECK(step().step == 4);
    CHECK(run.times().steps == 1);
  });
}

/// A rank that comes late to each collective.
struct Late {
  int rank;
  std::chrono::nanoseconds operator()(CollectiveKind kind, std::size_t, std::uint64_t) const {
    return std::chrono::milliseconds(kind == CollectiveKind::all_reduce && rank == 1 ? 10 : 0);
  }
};

TEST_CASE("times_of_all_ranks: the same on every rank; who waits for a late rank is seen") {
  launch<Threads>({.ranks = 2}, [&](Threads& threads) {
    Delayed<Threads, Late, When::before> world(threads.duplicate(), Late{threads.rank()});
    auto options = options_of<Run, Case>({.each = 2, .stream = StreamMode::on_compute_thread});
    auto run = Run::on(world, options);
    const zoo::Batch<Case> batch(4);
    for (int i = 0; i < 3; ++i)
      run.step(batch.x().samples(2 * world.rank(), 2), batch.y().samples(2 * world.rank(), 2));
    const WorldTimes times = run.times_of_all_ranks();
    CHECK(times.ranks == 2);
    CHECK(times.most.step_s >= run.times().step_s / 3);
    CHECK(times.most.comm_s >= 10e-3);
    CHECK(times.communication_share() > 0);
    CHECK(times.communication_share() + times.compute_share() == 1);
    double share[2] = {times.communication_share(), -times.communication_share()};
    world.all_reduce(share, 2);
    CHECK(share[0] == 2 * times.communication_share());
  });
}

}  // namespace
