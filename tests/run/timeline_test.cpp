// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/timeline_test.cpp: spans are the plan's program, nest, add up, and change no bit of a step.
#include <cohort/run/timeline.hpp>

#include <doctest/doctest.h>

#include "spans.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace spans;

namespace {

TEST_CASE("Track: keeps the newest, in order, and counts what is gone") {
  std::array<StepSpan, 4> memory;
  detail::Track<4> track;
  track.keep_at(memory.data());
  for (int i = 0; i < 11; ++i) {
    track.add({.begin = i, .end = i + 1});
    const int kept = std::min(i + 1, 4);
    REQUIRE(track.size() == static_cast<std::size_t>(kept));
    CHECK(track.lost() == static_cast<std::uint64_t>(i + 1 - kept));
    for (int k = 0; k < kept; ++k)
      CHECK(track[static_cast<std::size_t>(k)].begin == i + 1 - kept + k);
  }
}

TEST_CASE("Traced: spans are the plan's program, nest, and add up to the step's times") {
  for (const StreamMode stream : both) {
    check_spans<RunOf<TiedGptCase, Traced<>>, TiedGptCase>(stream);
    check_spans<RunOf<TiedGptCase, Traced<>, DataParallel<FullShard>, GradAccum<2>>, TiedGptCase>(
        stream);
  }
}

TEST_CASE("Traced: a unit with children lasts as long as they do") {
  using Run = RunOf<TiedGptCase, Traced<>>;
  static_assert(Run::plan_type::layout.units[0].own);
  const auto mine = seen<Run, TiedGptCase>({.ranks = 1, .steps = 1})[0];
  for (const Activity a : {Activity::forward, Activity::backward}) {
    const auto own = std::find_if(mine.compute.begin(), mine.compute.end(),
                                  [&](const StepSpan& s) { return s.what == a && s.number == 0; });
    REQUIRE(own != mine.compute.end());
    for (const StepSpan& s : mine.compute) {
      if (s.what != a) continue;
      CHECK(s.begin >= own->begin);
      CHECK(s.end <= own->end);
    }
  }
}

TEST_CASE("Timed and Traced: the bits of a run without them") {
  for (const StreamMode stream : both) {
    const Setup setup{.ranks = 2, .steps = 4, .stream = stream};
    using Plain = RunOf<TiedGptCase, DataParallel<FullShard>, GradAccum<2>>;
    const auto expected = train<Plain, TiedGptCase>(setup);
    using TimedRun = RunOf<TiedGptCase, DataParallel<FullShard>, GradAccum<2>, Timed>;
    using TracedRun = RunOf<TiedGptCase, DataParallel<FullShard>, GradAccum<2>, Traced<5>>;
    const auto timed = train<TimedRun, TiedGptCase>(setup),
               traced = train<TracedRun, TiedGptCase>(setup);
    CHECK(all_same(timed, expected[0]));
    CHECK(all_same(traced, expected[0]));
    CHECK(timed[0].calls == expected[0].calls);  // no collective beside the plan's
    CHECK(traced[0].calls == expected[0].calls);
  }
}

TEST_CASE("Traced: a full track keeps the newest spans and counts the others") {
  using Run = RunOf<TiedGptCase, Traced<6>>;
  using Plan = Run::plan_type;
  constexpr int ops = Plan::num_collectives(), steps = 5;
  static_assert(ops > 1);
  for (const StreamMode stream : both) {
    const Setup setup{.ranks = 2, .steps = steps, .stream = stream};
    on_ranks<Run>(2, options_of<Run, TiedGptCase>(setup), [&](auto& run, World& world) {
      for (int step = 0; step < steps; ++step) {
        const auto batch = batch_of<TiedGptCase>(setup, step);
        run.step(batch.x().samples(6 * world.rank(), 6), batch.y().samples(6 * world.rank(), 6));
      }
      const auto& track = run.timeline().communication();
      CHECK(track.added() == steps * ops);
      CHECK(track.size() == 6);
      CHECK(track.lost() == steps * ops - 6);
      CHECK(track[5].step == steps);
      CHECK(track[5].number == ops - 1);
      for (std::size_t i = 1; i < 6; ++i) CHECK(track[i - 1].end <= track[i].begin);
      CHECK(run.timeline().compute()[5].what == Activity::step);  // ends last
    });
  }
}

/// A wire that takes 20 ms for each all-reduce of two numbers: the loss's.
struct SlowLoss {
  std::chrono::nanoseconds operator()(CollectiveKind kind, std::size_t n, std::uint64_t) const {
    return std::chrono::milliseconds(kind == CollectiveKind::all_reduce && n == 2 ? 20 : 0);
  }
};

TEST_CASE(
    "Timed: a delay of known length is in the times of communication, and in those that compute "
    "waited") {
  using Run = RunOf<TiedGptCase, Traced<>>;
  for (const StreamMode stream : both) {
    const Setup setup{.ranks = 2, .stream = stream};
    launch<Threads>({.ranks = 2}, [&](Threads& threads) {
      Delayed<Threads, SlowLoss> world(threads.duplicate(), SlowLoss{});
      auto run = Run::on(world, options_of<Run, TiedGptCase>(setup));
      const auto batch = batch_of<TiedGptCase>(setup, 0);
      const TimedReport r =
          run.step(batch.x().samples(6 * world.rank(), 6), batch.y().samples(6 * world.rank(), 6));
      CHECK(r.comm_s >= 20e-3);
      CHECK(r.step_s >= r.exposed_comm_s);
      // The loss is the last operation of backward, and compute has nothing else to do: what is left of it
      // when the wait begins is exposed.
      constexpr auto& program = Run::plan_type::program<MicroBatch::only>;
      int loss = 0;
      while (program.op[static_cast<std::size_t>(loss)].kind != OpKind::loss) ++loss;
      std::int64_t op_end = 0, op_begin = 0, waited = -1, wait_ended = 0;
      for (const StepSpan& s : copy(run.timeline().communication()))
        if (s.number == loss) op_begin = s.begin, op_end = s.end;
      CHECK(op_end - op_begin >= 20'000'000);
      for (const StepSpan& s : copy(run.timeline().compute())) {
        if (s.what != Activity::wait || s.number != loss) continue;
        waited = s.end - s.begin;
        wait_ended = s.end;
        CHECK(s.end >= op_end);
        CHECK(waited >= op_end - std::max(op_begin, s.begin));
      }
      REQUIRE(waited >= 0);
      CHECK(r.exposed_comm_s * 1e9 >= double(waited));
      for (const StepSpan& s :
           copy(run.timeline().compute()))  // the update needs the loss's weight
        if (s.what == Activity::update) CHECK(wait_ended <= s.begin);
      if (stream == StreamMode::on_compute_thread) CHECK(waited >= 20'000'000);
    });
  }
}

}  // namespace
