// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/support.hpp: trainings of the zoo on a GPU that threads share: a real one, or the double.
#pragma once
#include <cohort/cuda.hpp>

#include <chrono>

#include "../support.hpp"

namespace cohort::test {

using GpuWorld = Recorder<Threads>;

/// A model whose ends share a parameter, under a strategy.
template <class How, class... Ps>
using TiedGptRun = Trainer<zoo::TiedGptCase::Model, zoo::TiedGptCase::Loss, DataParallel<How>,
                           ClipGradNorm, Ps...>;

/// Makes a run on every rank, all on one GPU, and calls f(run, world).
template <class Run, class F> void on_gpu(int ranks, const typename Run::options& options, F f) {
  launch<Threads>({.ranks = ranks}, [&](Threads& threads) {
    GpuWorld world(threads.duplicate(), 8192);
    auto run = Run::template on<Cuda>(world, options);
    f(run, world);
  });
}

/// What a rank sees of a training.
template <class Case, class Run> Trace trace_of(Run& run, int rank, const Setup& setup) {
  Trace trace;
  trace.start = run.gather_parameters();
  run.communicator().clear();
  for (int step = 0; step < setup.steps; ++step) {
    const auto batch = batch_of<Case>(setup, step);
    const int first = rank * setup.each;
    trace.reports.push_back(
        run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each)));
  }
  trace.calls = copy_of(run.communicator().log());
  trace.parameters = run.gather_parameters();
  trace.gradients = run.gather_gradients();
  return trace;
}

/// train() of run/support.hpp on a GPU.
template <class Run, class Case> std::vector<Trace> train_on_gpu(const Setup& setup) {
  std::vector<Trace> traces(static_cast<std::size_t>(setup.ranks));
  on_gpu<Run>(setup.ranks, options_of<Run, Case>(setup), [&](auto& run, GpuWorld& world) {
    traces[static_cast<std::size_t>(world.rank())] = trace_of<Case>(run, world.rank(), setup);
  });
  return traces;
}

}  // namespace cohort::test
