// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/timeline_test.cpp: spans are the plan's program, nest, add up, and change no bit of a step.
#include <cohort/run/timeline.hpp>

#include <doctest/doctest.h>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using zoo::GptCase;
using zoo::TiedGptCase;
template <class Case, class... Ps>
using RunOf = Trainer<typename Case::Model, typename Case::Loss, Buckets<256, 1024>, ClipGradNorm,
                      optim::AdamW, Ps...>;
constexpr StreamMode both[] = {StreamMode::on_compute_thread, StreamMode::worker};

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

/// The spans of a rank after some steps.
struct Seen {
  std::vector<StepSpan> compute, communication;
  std::vector<StepTimes> times;
};
template <class Run> std::vector<StepSpan> copy(const Run& track) {
  std::vector<StepSpan> spans;
  for (std::size_t i = 0; i < track.size(); ++i) spans.push_back(track[i]);
  return spans;
}
template <class Run, class Case> std::vector<Seen> seen(const Setup& setup) {
  std::vector<Seen> all(static_cast<std::size_t>(setup.ranks));
  on_ranks<Run>(
      setup.ranks, options_of<Run, Case>(setup),
      [&](auto& run, World& world) {
        Seen& mine = all[static_cast<std::size_t>(world.rank())];
        for (int step = 0; step < setup.steps; ++step) {
          const auto batch = batch_of<Case>(setup, step);
          const int first = world.rank() * setup.each;
          const auto x = batch.x().samples(first, setup.each);
          const auto y = batch.y().samples(first, setup.each);
          mine.times.push_back(run.step(x, y));
          run.evaluate(x, y);
          run.predict(x.samples(0, 1));
        }
        mine.compute = copy(run.timeline().compute());
        mine.communication = copy(run.timeline().communication());
      },
      setup.delay_seed);
  return all;
}

/// Spans of one stream either follow each other or lie in each other.
bool nest(std::vector<StepSpan> spans) {
  std::sort(spans.begin(), spans.end(), [](const StepSpan& a, const StepSpan& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  std::vector<StepSpan> open;
  for (const StepSpan& s : spans) {
    if (s.end < s.begin) return false;
    while (!open.empty() && open.back().end <= s.begin) open.pop_back();
    if (!open.empty() && s.end > open.back().end) return false;
    open.push_back(s);
  }
  return true;
}
int count(const std::vector<StepSpan>& spans, Activity a) {
  return static_cast<int>(
      std::count_if(spans.begin(), spans.end(), [&](const StepSpan& s) { return s.what == a; }));
}
double seconds(const std::vector<StepSpan>& spans, Activity a, int step) {
  std::int64_t sum = 0;
  for (const StepSpan& s : spans)
    if (s.what == a && s.step == step) sum += s.end - s.begin;
  return 1e-9 * double(sum);
}

/// The communication stream's spans are the program of every micro-batch of every step, in order.
template <class Plan> void check_program(const std::vector<StepSpan>& spans, int steps) {
  std::vector<StepSpan> planned;
  for (int step = 1; step <= steps; ++step) {
    int micro_batch = 0;
    Plan::for_each_micro_batch([&]<MicroBatch M>() {
      for (int k = 0; k < Plan::template program<M>.count; ++k)
        planned.push_back({0, 0, step, micro_batch, k, Activity::operation});
      ++micro_batch;
    });
  }
  REQUIRE(spans.size() == planned.size());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    CAPTURE(i);
    CHECK(spans[i].step == planned[i].step);
    CHECK(spans[i].micro_batch == planned[i].micro_batch);
    CHECK(spans[i].number == planned[i].number);
    CHECK(spans[i].what == Activity::operation);
  }
}

template <class Run, class Case> void check_spans(StreamMode stream) {
  using Plan = typename Run::plan_type;
  CAPTURE(int(stream));
  const Setup setup{.ranks = 2, .steps = 3, .stream = stream, .delay_seed = 5};
  for (const Seen& mine : seen<Run, Case>(setup)) {
    check_program<Plan>(mine.communication, setup.steps);
    CHECK(nest(mine.communication));
    CHECK(nest(mine.compute));
    const int micro = setup.steps * Plan::micro_batches;
    CHECK(count(mine.compute, Activity::step) == setup.steps);
    CHECK(count(mine.compute, Activity::micro_batch) == micro);
    CHECK(count(mine.compute, Activity::forward) == micro * Plan::num_units);
    CHECK(count(mine.compute, Activity::backward) == micro * Plan::num_units);
    CHECK(count(mine.compute, Activity::loss) == micro);
    CHECK(count(mine.compute, Activity::norm) == setup.steps);
    CHECK(count(mine.compute, Activity::update) == setup.steps);
    CHECK(count(mine.compute, Activity::evaluation) == setup.steps);  // beside the steps
    CHECK(count(mine.compute, Activity::prediction) == setup.steps);
    for (const StepSpan& s : mine.compute)
      if (s.what == Activity::evaluation)
        for (const StepSpan& t : mine.compute)
          if (t.what == Activity::step && t.step == s.step) CHECK(t.end <= s.begin);
    if (stream == StreamMode::on_compute_thread)
      CHECK(count(mine.compute, Activity::wait) == int(mine.communication.size()));
    for (int step = 1; step <= setup.steps; ++step) {
      const StepTimes& t = mine.times[static_cast<std::size_t>(step - 1)];
      CHECK(t.steps == 1);
      CHECK(t.step_s == doctest::Approx(seconds(mine.compute, Activity::step, step)));
      CHECK(t.comm_s == doctest::Approx(seconds(mine.communication, Activity::operation, step)));
      CHECK(t.exposed_comm_s == doctest::Approx(seconds(mine.compute, Activity::wait, step)));
      CHECK(t.exposed_comm_s <= t.step_s);
      if (stream == StreamMode::on_compute_thread) CHECK(t.exposed_comm_s == t.comm_s);
    }
  }
}

TEST_CASE("Traced: spans are the plan's program, nest, and add up to the step's times") {
  for (const StreamMode stream : both) {
    check_spans<RunOf<GptCase, Traced<>>, GptCase>(stream);
    check_spans<RunOf<TiedGptCase, Traced<>, GradAccum<3>>, TiedGptCase>(stream);
    check_spans<RunOf<GptCase, Traced<>, DataParallel<FullShard>, GradAccum<2>>, GptCase>(stream);
    check_spans<RunOf<GptCase, Traced<>, DataParallel<ShardOptimizer>>, GptCase>(stream);
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
    using Plain = RunOf<GptCase, DataParallel<FullShard>, GradAccum<2>>;
    const auto expected = train<Plain, GptCase>(setup);
    using TimedRun = RunOf<GptCase, DataParallel<FullShard>, GradAccum<2>, Timed>;
    using TracedRun = RunOf<GptCase, DataParallel<FullShard>, GradAccum<2>, Traced<5>>;
    const auto timed = train<TimedRun, GptCase>(setup), traced = train<TracedRun, GptCase>(setup);
    CHECK(all_same(timed, expected[0]));
    CHECK(all_same(traced, expected[0]));
    CHECK(timed[0].calls == expected[0].calls);  // no collective beside the plan's
    CHECK(traced[0].calls == expected[0].calls);
  }
}

TEST_CASE("Traced: a full track keeps the newest spans and counts the others") {
  using Run = RunOf<GptCase, Traced<6>>;
  using Plan = Run::plan_type;
  constexpr int ops = Plan::num_collectives(), steps = 5;
  static_assert(ops > 1);
  for (const StreamMode stream : both) {
    const Setup setup{.ranks = 2, .steps = steps, .stream = stream};
    on_ranks<Run>(2, options_of<Run, GptCase>(setup), [&](auto& run, World& world) {
      for (int step = 0; step < steps; ++step) {
        const auto batch = batch_of<GptCase>(setup, step);
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
  using Run = RunOf<GptCase, Traced<>>;
  for (const StreamMode stream : both) {
    const Setup setup{.ranks = 2, .stream = stream};
    launch<Threads>({.ranks = 2}, [&](Threads& threads) {
      Delayed<Threads, SlowLoss> world(threads.duplicate(), SlowLoss{});
      auto run = Run::on(world, options_of<Run, GptCase>(setup));
      const auto batch = batch_of<GptCase>(setup, 0);
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
