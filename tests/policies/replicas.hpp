// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/replicas.hpp: what the tests of Replicate ask of every model, in both tiers.
#pragma once
#include "../run/support.hpp"
#include "../support/allocations.hpp"

namespace cohort::test::replicas {

/// Small buckets, so that every model has several, and clipping, so that the norm is computed.
template <class Case>
using RunOf = Trainer<typename Case::Model, typename Case::Loss, DataParallel<Replicate>,
                      Buckets<256, 1024>, ClipGradNorm>;

constexpr int every_rank_count[] = {1, 2, 3, 4, 5, 7, 8, 16};

/// Calls f.operator()<Case>(ranks) for each model with one rank and with others, so that the models together
/// meet every number of ranks.
template <class... Cases, class F> void for_sampled_ranks(F&& f) {
  std::size_t number = 0;
  zoo::for_cases<Cases...>([&]<class Case>() {
    for (std::size_t i = 0; i < std::size(every_rank_count); ++i) {
      if (i > 0 && i % sizeof...(Cases) != number) continue;
      const int ranks = every_rank_count[i];
      INFO(Case::name());
      CAPTURE(ranks);
      f.template operator()<Case>(ranks);
    }
    ++number;
  });
}

// ---------------------------------------------------------------- law 1

template <class Case> void check_gradients_of(int ranks) {
  using Run = RunOf<Case>;
  const Setup setup{.ranks = ranks, .each = 3};
  const Setup alone{.ranks = 1, .each = 3 * ranks};
  const auto traces = train<Run, Case>(setup);
  const auto single = train<Run, Case>(alone);
  REQUIRE(same_bits(traces[0].start, single[0].start));
  const Exact exact = ExactGradient<Case>(traces[0].start).of(batch_of<Case>(setup, 0));
  const int rows = 3 * ranks * Case::tokens;
  const Worst many = worst_error(traces[0].gradients, exact, rows, ranks);
  const Worst one = worst_error(single[0].gradients, exact, rows, 1);
  CAPTURE(many.name);
  CHECK(many.ratio <= 1);
  CHECK(one.ratio <= 1);
  // The loss is summed in fp64 from fp32 outputs: one row's loss has the roundings of its products.
  const double eps = std::numeric_limits<float>::epsilon(), mean = exact.sum / exact.weight;
  const StepReport &r = traces[0].reports[0], &s = single[0].reports[0];
  CHECK(r.weight == exact.weight);
  CHECK(s.weight == exact.weight);
  CHECK(std::abs(r.loss - mean) <= eps * exact.additions * std::max(1.0, mean));
  CHECK(std::abs(s.loss - mean) <= eps * exact.additions * std::max(1.0, mean));
}

template <class Case> void check_bits_of(int ranks) {
  const Setup setup{.ranks = ranks, .each = 2, .steps = 20};
  const auto traces = train<RunOf<Case>, Case>(setup);
  CHECK_FALSE(same_bits(traces[0].start, traces[0].parameters));
  CHECK(all_same(traces, traces[0]));
  CHECK(all_same(train<RunOf<Case>, Case>(setup), traces[0]));
}

// ---------------------------------------------------------------- law 7

template <class Case> void check_delays_of(int ranks, std::uint64_t seeds) {
  const auto expected = train<RunOf<Case>, Case>({.ranks = ranks, .each = 2, .steps = 3});
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
      const Setup late{.ranks = ranks, .each = 2, .steps = 3, .stream = stream, .delay_seed = seed};
      CHECK(all_same(train<RunOf<Case>, Case>(late), expected[0]));
    }
  }
}

// ---------------------------------------------------------------- law 5

template <class Case> void check_calls_of(int ranks) {
  using Run = RunOf<Case>;
  constexpr int steps = 2;
  std::vector<Collective> expected,
      formation{{CollectiveKind::all_gather, DType::i64, 7, 0},  // plan and options
                {CollectiveKind::broadcast, DType::f32,
                 Run::plan_type::layout.size + Run::plan_type::layout.frozen, 0}};  // parameters
  for (int step = 0; step < steps; ++step)
    for (const Collective& call : planned_calls<Run>()) expected.push_back(call);
  CHECK(static_cast<int>(expected.size()) == steps * Run::plan.num_collectives());
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    const Setup setup{.ranks = ranks, .each = 2, .steps = steps, .stream = stream};
    for (const Trace& trace : train<Run, Case>(setup)) {
      CHECK(trace.formation == formation);
      CHECK(trace.calls == expected);
      std::size_t sent = 0;  // a reduce-scatter and an all-gather, each sends all but one share
      for (const Collective& call : trace.calls)
        sent += 2 * (call.count * bytes(call.dtype) * static_cast<std::size_t>(ranks - 1) /
                     static_cast<std::size_t>(ranks));
      CHECK(sent == steps * Run::plan.wire_bytes({.ranks = ranks, .batch = 2}));
    }
  }
}

/// What a rank's thread and all threads together took while the runs were made.
struct Taken {
  std::vector<std::int64_t> peaks, lives;  // by rank
  std::int64_t ours = 0;                   // bytes of all ranks; the system's libraries left out
};
template <class Run> Taken taken_by(int ranks, const typename Run::options& options) {
  Taken taken;
  taken.peaks.resize(static_cast<std::size_t>(ranks));
  taken.lives = taken.peaks;
  std::unique_ptr<Allocations> count;
  launch<Threads>({.ranks = ranks}, [&](Threads& threads) {
    World world = make_world(threads);
    threads.barrier();
    if (threads.rank() == 0) count = std::make_unique<Allocations>();
    threads.barrier();
    {
      auto run = Run::template on<>(world, options);
      const AllocationTotals mine = count->this_thread();
      taken.peaks[static_cast<std::size_t>(threads.rank())] = mine.peak_bytes;
      taken.lives[static_cast<std::size_t>(threads.rank())] = mine.live_bytes;
      threads.barrier();
      if (threads.rank() == 0) count->stop();
      threads.barrier();
    }
  });
  taken.ours = count->without({"ld-linux", "libc.so"}).bytes;
  return taken;
}

template <class Case> void check_peak_of(int ranks) {
  using Run = RunOf<Case>;
  const auto planned = static_cast<std::int64_t>(
      Run::plan.peak_bytes({.ranks = ranks, .batch = 3, .tokens = Case::tokens}));
  Setup setup{.each = 3, .stream = StreamMode::on_compute_thread};
  const Taken inline_stream = taken_by<Run>(ranks, options_of<Run, Case>(setup));
  for (std::size_t r = 0; r < inline_stream.peaks.size(); ++r) {
    CHECK(inline_stream.peaks[r] == planned);
    CHECK(inline_stream.lives[r] == planned);
  }
  // Before its arenas a rank holds seven numbers of every rank for a moment. A worker adds what
  // std::thread keeps for it, a table, a function and a pointer; apart from that, its stack and the
  // loader's block of thread-local storage are the system's.
  setup.stream = StreamMode::worker;
  const Taken worker = taken_by<Run>(ranks, options_of<Run, Case>(setup));
  const std::int64_t compared = 7 * ranks * 8, thread = 3 * sizeof(void*);
  CHECK(worker.ours == ranks * (planned + compared + thread));
}

template <class Case> void check_steps_allocate_nothing(int ranks, StreamMode stream) {
  using Run = RunOf<Case>;
  const Setup setup{.ranks = ranks, .each = 3, .stream = stream};
  std::string report;
  std::int64_t count = -1;
  on_ranks<Run>(ranks, options_of<Run, Case>(setup), [&](auto& run, World& world) {
    const auto batch = batch_of<Case>(setup, 0);
    const auto x = batch.x().samples(world.rank() * 3, 3);
    const auto y = batch.y().samples(world.rank() * 3, 3);
    world.barrier();
    std::unique_ptr<Allocations> own;
    if (world.rank() == 0) own = std::make_unique<Allocations>();
    world.barrier();
    for (int step = 0; step < 10; ++step) {
      run.step(x, y);
      run.evaluate(x, y);
      run.predict(x);
    }
    world.barrier();
    if (own) {
      own->stop();
      count = own->all_threads().count;
      report = own->report();
    }
  });
  INFO(report);
  CHECK(count == 0);
}

}  // namespace cohort::test::replicas
