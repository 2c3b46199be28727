// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/clipped_values.hpp: runs under ClipGradValue, beside runs without it and under other strategies.
#pragma once
#include <cohort/policies/clip_grad_value.hpp>

#include "mixed.hpp"

namespace cohort::test {

template <class Case, class... Ps>
using RunOf = Trainer<typename Case::Model, typename Case::Loss, Ps...>;

/// Steps of a case with a limit; every rank's trace.
template <class Run, class Case> std::vector<Trace> train_to(double most, int ranks, int steps) {
  std::vector<Trace> traces(static_cast<std::size_t>(ranks));
  auto options = options_of<Run, Case>({.each = 4});
  options.clip.max_value = most;
  on_ranks<Run>(ranks, options, [&](auto& run, World& world) {
    Trace& trace = traces[static_cast<std::size_t>(world.rank())];
    trace.start = run.gather_parameters();
    for (int step = 0; step < steps; ++step) {
      const zoo::Batch<Case> batch(4 * ranks, 1 + static_cast<std::uint64_t>(step));
      trace.reports.push_back(
          run.step(batch.x().samples(4 * world.rank(), 4), batch.y().samples(4 * world.rank(), 4)));
    }
    trace.parameters = run.gather_parameters();
    trace.gradients = run.gather_gradients();
  });
  return traces;
}

template <class... Precision> void check_unreached() {
  using Case = zoo::OddMlpCase;
  const auto plain =
      train<RunOf<Case, optim::AdamW, Precision...>, Case>({.ranks = 3, .each = 4, .steps = 5});
  const auto clipped =
      train_to<RunOf<Case, ClipGradValue, optim::AdamW, Precision...>, Case>(1e9, 3, 5);
  CHECK(all_same(clipped, plain[0]));
}

/// Four steps in which about every element meets the limit: How has the bits of Replicate.
template <class Case, class How, class... Precision> void check_strategy() {
  const auto expected = train_to<RunOf<Case, ClipGradValue, Precision...>, Case>(1e-3, 3, 4);
  CHECK(all_same(expected, expected[0]));
  CHECK(all_same(
      train_to<RunOf<Case, ClipGradValue, DataParallel<How>, Precision...>, Case>(1e-3, 3, 4),
      expected[0]));
}

}  // namespace cohort::test
