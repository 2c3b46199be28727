// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/as_threads.hpp: a training on processes beside the same one on threads.
#pragma once
#include <doctest/doctest.h>

#include <cohort/mpi.hpp>

#include "mpi/support.hpp"
#include "run/support.hpp"

namespace cohort::test {

/// Five steps on the ranks of a world, as this rank saw them.
template <class Run, class Case, class World>
Trace train_on(World& world, StreamMode stream, int each = 6) {
  const Setup setup{.ranks = world.size(), .each = each, .steps = 5, .stream = stream};
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

/// Calls f.operator()<How>() for every strategy that this number of processes allows, each in a subcase.
template <class F> void for_each_strategy(F f) {
  SUBCASE("Replicate") { f.template operator()<Replicate>(); }
  SUBCASE("ShardOptimizer") { f.template operator()<ShardOptimizer>(); }
  SUBCASE("ShardGradients") { f.template operator()<ShardGradients>(); }
  SUBCASE("FullShard") { f.template operator()<FullShard>(); }
  SUBCASE("HybridShard") {
    if (num_processes() % 2 == 0) f.template operator()<HybridShard<2>>();
  }
}

}  // namespace cohort::test
