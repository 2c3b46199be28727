// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/training_test.cpp: a training on processes and the same one on threads: the same bits.
#include <cohort/mpi.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "mpi/as_threads.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("training: threads == processes, bit for bit, inline and on a worker") {
  // One micro-batch or three; training_full_test.cpp has both, and a model with tied parameters.
  for_each_strategy([]<class How>() {
    constexpr int N = std::is_same_v<How, FullShard> || std::is_same_v<How, ShardGradients> ? 3 : 1;
    same_as_threads<RunOf<zoo::HugeAndTinyCase, DataParallel<How>, GradAccum<N>>,
                    zoo::HugeAndTinyCase>();
  });
}

TEST_CASE("training: several buckets, 16-bit types") {
  using Mlp = zoo::OddMlpCase;
  using Huge = zoo::HugeAndTinyCase;
  using Half = MixedPrecision<bf16, fp32>;
  same_as_threads<RunOf<Huge, DataParallel<FullShard>, Half>, Huge>();
  same_as_threads<RunOf<Mlp, Half, GradAccum<2>, Buckets<256, 1024>>, Mlp>();
}

TEST_CASE("training: Reproducible on two or four processes has the bits of four threads") {
  using Case = zoo::OddMlpCase;
  const int n = num_processes();
  if (n != 2 && n != 4) return;
  const auto expected = by_threads<Trace>(4, [n](Threads& world) {
    return train_on<RunOf<Case>, Case>(world, StreamMode::on_compute_thread, 6 * n / 4);
  });
  on_processes([&](Mpi& world) {
    using Run = RunOf<Case, DataParallel<ShardOptimizer>, Reproducible<4>>;
    CHECK(same_bits(train_on<Run, Case>(world, StreamMode::worker), expected[0]));
  });
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
