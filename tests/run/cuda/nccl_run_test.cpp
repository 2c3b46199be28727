// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/nccl_run_test.cpp: runs over NCCL: collectives as planned, on memory that NCCL was told of.
#include <cohort/cuda.hpp>

#include <cohort/comm/nccl.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "support.hpp"
#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

using zoo::TiedGptCase;

/// A step: its gradients, how many collectives of parameters and gradients there were, and how many of these
/// on registered memory.
struct Seen {
  std::vector<NamedTensor> start, gradients;
  std::size_t calls = 0, registered = 0;
};
template <class Run, class Case = TiedGptCase> Seen train_on_nccl(int ranks, int of_size) {
  Machine machine;
  Seen seen;
  const Setup setup{.ranks = ranks, .each = 2};
  on_gpus(ranks, [&](Nccl& world) {
    auto run = Run::template on<Cuda>(world, options_of<Run, Case>(setup));
    const auto batch = batch_of<Case>(setup, 0);
    const int first = world.rank() * setup.each;
    auto start = run.gather_parameters();
    world.barrier();  // the log is of all ranks
    const auto before = nccl_double::calls(of_size, 0).size();
    world.barrier();
    run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each));
    world.barrier();
    const auto calls = nccl_double::calls(of_size, 0);
    world.barrier();
    auto gradients = run.gather_gradients();
    if (world.rank() != 0) return;
    seen.start = std::move(start);
    seen.gradients = std::move(gradients);
    for (std::size_t i = before; i < calls.size(); ++i) {
      const auto type = calls[i].type;  // loss, norm, what hosts say to each other
      if (type == ncclFloat64 || type == ncclInt64 || type == ncclUint8) continue;
      ++seen.calls;
      seen.registered += calls[i].registered;
    }
  });
  return seen;
}

template <class Run> void check(int ranks, int of_size, bool exact) {
  const Seen seen = train_on_nccl<Run>(ranks, of_size);
  CHECK(seen.calls > 0);
  CHECK(seen.registered == seen.calls);
  if (!exact) return;
  const Setup setup{.ranks = ranks, .each = 2};
  const Exact reference =
      ExactGradient<TiedGptCase>(seen.start).of(batch_of<TiedGptCase>(setup, 0), ranks);
  const Worst worst =
      worst_error(seen.gradients, reference, 2 * ranks * TiedGptCase::tokens, ranks);
  CAPTURE(worst.name);
  CHECK(worst.ratio <= 1);
}

}  // namespace

TEST_CASE("NCCL: a step's collectives move registered memory, under every strategy") {
  check<TiedGptRun<Replicate>>(2, 2, true);
  check<TiedGptRun<FullShard>>(3, 3, true);
  check<TiedGptRun<ShardOptimizer, MixedPrecision<bf16, fp32>>>(2, 2, false);
}

TEST_CASE("NCCL: the sums of averages lie in registered memory too") {
  using Case = zoo::NormedCase;
  using Normed =
      Trainer<Case::Model, Case::Loss, DataParallel<FullShard>, MixedPrecision<bf16, fp32>>;
  const Seen seen = train_on_nccl<Normed, Case>(2, 2);
  constexpr auto& program = Normed::plan_type::program<MicroBatch::only>;
  CHECK(seen.calls + 1 == static_cast<std::size_t>(program.count));  // all but the loss
  CHECK(seen.registered == seen.calls);
}

TEST_CASE("NCCL: under HybridShard on both axes") { check<TiedGptRun<HybridShard<2>>>(4, 2, true); }

namespace {

/// Steps of every rank until one is out of reach: before(world, step) is asked before each.
template <class Run, class Before>
std::vector<NamedTensor> parameters_after(Outcome& seen, int ranks, int steps, Before before) {
  Machine machine;
  const Setup setup{.ranks = ranks, .each = 2};
  std::vector<NamedTensor> parameters;
  observe(seen, ranks, [&](Nccl& world) {
    auto run = Run::template on<Cuda>(world, options_of<Run, TiedGptCase>(setup));
    const int first = world.rank() * setup.each;
    for (int step = 1; step <= steps; ++step) {
      const auto batch = batch_of<TiedGptCase>(setup, step);
      before(world, step);
      run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each));
    }
    auto mine = run.gather_parameters();
    if (world.rank() == 0) parameters = std::move(mine);
  });
  return parameters;
}

}  // namespace

TEST_CASE("NCCL: a replayed graph has the bits of a step that is launched") {
  const auto nothing = [](Nccl&, int) {};
  Outcome eager, replayed;
  const auto as_it_is = parameters_after<TiedGptRun<FullShard, Eager>>(eager, 2, 4, nothing);
  const auto graph = parameters_after<TiedGptRun<FullShard, CudaGraph>>(replayed, 2, 4, nothing);
  CHECK(eager.rethrown == "");
  CHECK(replayed.rethrown == "");
  CHECK((!graph.empty() && same_bits(graph, as_it_is)));
}

TEST_CASE("NCCL: a failure while a graph is captured or replayed ends every rank") {
  for (const int when : {2, 4}) {  // the second step is captured
    Outcome seen;
    parameters_after<TiedGptRun<FullShard, CudaGraph>>(seen, 2, 5, [&](Nccl& world, int step) {
      if (step == when && world.rank() == 1) throw Boom("gone");
    });
    CAPTURE(when);
    CHECK(seen.rethrown == "gone");
    CHECK(seen.kinds == std::vector<char>{'p', 'o'});
  }
  Outcome seen;
  parameters_after<TiedGptRun<FullShard, CudaGraph>>(seen, 2, 3, [&](Nccl& world, int step) {
    if (step != 2) return;
    world.barrier();
    if (world.rank() == 1) nccl_double::fail("ncclReduceScatter", ncclSystemError);
  });
  CHECK(contains(seen.rethrown, "unhandled system error"));
  CHECK((seen.kinds[0] == 'e' || seen.kinds[1] == 'e'));
}

namespace {

/// Four steps of every rank; the first is launched, the second captured, the last is the third replay. Before that
/// rank 1 does something else: asked whether it goes on, with what tells it that rank 0 has failed. Returns how
/// many collectives the graph holds.
template <class How, class Else>
std::size_t replay(Outcome& seen, int ranks, std::chrono::milliseconds timeout, Else goes_on) {
  using Run = TiedGptRun<How, CudaGraph>;
  Machine machine;
  cuda_double::watch_kernels(false);  // ThreadSanitizer's timeouts would be long
  const Setup setup{.ranks = ranks, .each = 2};
  std::size_t captured = 0;
  std::atomic<bool> failed{false};
  const auto train = [&](Nccl& world) {
    auto run = Run::template on<Cuda>(world, options_of<Run, TiedGptCase>(setup));
    const auto batch = batch_of<TiedGptCase>(setup, 0);
    const int first = world.rank() * setup.each;
    for (int step = 1; step <= 4; ++step) {
      if (step == 4 && world.rank() == 0) seen.mark();
      if (step == 4 && world.rank() == 1 && !goes_on(failed)) return;
      const std::size_t before = nccl_double::calls(ranks, 0).size();
      run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each));
      if (step == 2 && world.rank() == 0) captured = nccl_double::calls(ranks, 0).size() - before;
    }
  };
  const auto watched = [&](Nccl& world) {
    try {
      train(world);
    } catch (...) {
      failed = true;
      throw;
    }
  };
  observe(seen, ranks, watched, timeout);
  return captured;
}

}  // namespace

TEST_CASE("NCCL: a replay that a rank is late for says so at the timeout, with what it holds") {
  Outcome seen;
  const auto late = [](const std::atomic<bool>& failed) {
    while (!failed) std::this_thread::sleep_for(10ms);
    return true;
  };
  constexpr std::chrono::milliseconds timeout = sanitized ? 10s : 6s;
  const std::size_t captured = replay<FullShard>(seen, 2, timeout, late);
  CAPTURE(seen.texts[0]);
  CHECK(captured > 3);
  CHECK(seen.kinds == std::vector<char>{'t', 't'});
  CHECK(
      contains(seen.texts[0],
               detail::phrase("replay #3 of a captured step, ", captured,
                              " collectives, of ranks 0, 1 (3 were queued) was not done within ",
                              timeout.count(), " ms: a rank is late, gone, or made another call")));
}

TEST_CASE("NCCL: a rank that returns before a replay is named long before the timeout") {
  Outcome seen;
  replay<FullShard>(seen, 3, 60s, [](const auto&) { return false; });
  CHECK(seen.kinds == std::vector<char>{'p', '-', 'p'});
  for (const std::size_t r : {0, 2}) {
    CAPTURE(seen.texts[r]);
    CHECK(contains(seen.texts[r], "rank 1 left the world while rank "));
    CHECK(contains(seen.texts[r], "waits in replay #3 of a captured step, "));
    CHECK(seen.ms[r] < 20000);
  }
}

TEST_CASE("NCCL: replays that go well raise nothing, also where a rank returns at once") {
  Outcome seen;
  replay<FullShard>(seen, 3, 60s, [](const auto&) { return true; });
  CHECK(seen.rethrown == "");
  CHECK(seen.kinds == std::vector<char>(3, '-'));
}

TEST_CASE("NCCL: a rank of HybridShard that is gone holds nobody in its other communicators") {
  Outcome seen;
  parameters_after<TiedGptRun<HybridShard<2>>>(seen, 4, 3, [&](Nccl& world, int step) {
    if (step == 2 && world.rank() == 3) throw Boom("gone");
  });
  CHECK(seen.rethrown == "gone");
  CHECK(seen.kinds == std::vector<char>{'p', 'p', 'p', 'o'});
}
