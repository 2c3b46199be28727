// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/training_test.cpp: a training on processes and the same one on threads: the same bits.
#include <cohort/mpi.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "mpi/support.hpp"
#include "run/support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

/// Five steps on the ranks of a world, as this rank saw them.
template <class Run, class Case, class World> Trace train_on(World& world, StreamMode stream) {
  const Setup setup{.ranks = world.size(), .each = 6, .steps = 5, .stream = stream};
  auto run = Run::on(world, options_of<Run, Case>(setup));
  CHECK(run.has_worker() == (stream == StreamMode::worker));
  Trace trace;
  for (int step = 0; step < setup.steps; ++step) {
    const auto batch = batch_of<Case>(setup, step);
    const int first = world.rank() * setup.each;
    trace.reports.push_back(
        run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each)));
  }
  trace.parameters = run.gather_parameters();
  trace.gradients = run.gather_gradients();
  return trace;
}

template <class Run, class Case> void same_as_threads() {
  const auto expected = by_threads<Trace>(num_processes(), [](Threads& world) {
    return train_on<Run, Case>(world, StreamMode::on_compute_thread);
  });
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    on_processes([&](Mpi& world) {
      const Trace mine = train_on<Run, Case>(world, stream);
      CAPTURE(Case::name());
      CHECK(same_bits(mine, expected[static_cast<std::size_t>(world.rank())]));
    });
  }
}

template <class Case, class... Policies>
using RunOf =
    Trainer<typename Case::Model, typename Case::Loss, ClipGradNorm, optim::AdamW, Policies...>;

/// One micro-batch and three, models with tied, tiny and one large parameter.
template <class How> void all_cases() {
  zoo::for_cases<zoo::TiedGptCase, zoo::HugeAndTinyCase>([]<class Case>() {
    same_as_threads<RunOf<Case, DataParallel<How>>, Case>();
    same_as_threads<RunOf<Case, DataParallel<How>, GradAccum<3>>, Case>();
  });
}

TEST_CASE("training: threads == processes, bit for bit, inline and on a worker") {
  SUBCASE("Replicate") { all_cases<Replicate>(); }
  SUBCASE("ShardOptimizer") { all_cases<ShardOptimizer>(); }
  SUBCASE("ShardGradients") { all_cases<ShardGradients>(); }
  SUBCASE("FullShard") { all_cases<FullShard>(); }
  SUBCASE("HybridShard") {
    if (num_processes() % 2 == 0) all_cases<HybridShard<2>>();
  }
}

TEST_CASE("training: several buckets, gradients reduced in each micro-batch, 16-bit types") {
  using Mlp = zoo::OddMlpCase;
  using Gpt = zoo::GptCase;
  using Half = MixedPrecision<bf16, fp32>;
  same_as_threads<RunOf<Gpt, DataParallel<FullShard>, Half>, Gpt>();
  same_as_threads<RunOf<Mlp, Half, GradAccum<2>, Buckets<256, 1024>>, Mlp>();
  same_as_threads<
      RunOf<Gpt, DataParallel<ShardOptimizer>, MixedPrecision<fp16, fp32>, DynamicLossScale<>>,
      Gpt>();
  same_as_threads<RunOf<Mlp, Buckets<256, 1024>>, Mlp>();
  same_as_threads<RunOf<Gpt, DataParallel<FullShard>, GradAccum<3, ReduceEach>>, Gpt>();
}

TEST_CASE("training: groups of processes meet NaN apart; nobody else hears of it") {
  using Run = RunOf<zoo::OddMlpCase>;
  on_processes([](Mpi& world) {
    const int color = world.rank() % 2;
    Mpi group = world.split(color, world.rank());
    const zoo::Batch<zoo::OddMlpCase> batch(2);
    std::vector<float> inputs(14, 0.5f);  // [2, 7]
    if (world.rank() == 1) inputs[5] = std::numeric_limits<float>::quiet_NaN();
    double steps = 0;
    for (int trial = 0; trial < 2; ++trial) {
      auto run = Run::on(group, {.seed = 1, .batch = 2});
      bool caught = false;
      try {
        for (int step = 0; step < 3; ++step) run.step({inputs.data(), {2, 1}}, batch.y());
      } catch (const NonFinite&) {
        caught = true;
      }
      CHECK(caught == (color == 1));
      if (caught) run.step(batch.x(), batch.y());  // and goes on
      steps += static_cast<double>(run.steps_done());
    }
    std::vector<double> all(static_cast<std::size_t>(world.size()));
    world.all_gather(&steps, all.data(), 1);
    for (int r = 0; r < world.size(); ++r)
      CHECK(all[static_cast<std::size_t>(r)] == (r % 2 == 1 ? 2 : 6));
  });
}

}  // namespace
