// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/spans.hpp: the spans of a traced run beside the plan's program.
#pragma once
#include <doctest/doctest.h>

#include "support.hpp"

namespace cohort::test::spans {

using zoo::GptCase;
using zoo::TiedGptCase;
template <class Case, class... Ps>
using RunOf = Trainer<typename Case::Model, typename Case::Loss, Buckets<256, 1024>, ClipGradNorm,
                      optim::AdamW, Ps...>;
constexpr StreamMode both[] = {StreamMode::on_compute_thread, StreamMode::worker};

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
inline bool nest(std::vector<StepSpan> spans) {
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
inline int count(const std::vector<StepSpan>& spans, Activity a) {
  return static_cast<int>(
      std::count_if(spans.begin(), spans.end(), [&](const StepSpan& s) { return s.what == a; }));
}
inline double seconds(const std::vector<StepSpan>& spans, Activity a, int step) {
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

}  // namespace cohort::test::spans
