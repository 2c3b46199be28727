// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/replicate_test.cpp: N ranks are one rank on the concatenated batch; the bits are
// everybody's; what was planned is what is called and what is taken.
#include <cohort/policies/replicate.hpp>

#include <doctest/doctest.h>

#include "replicas.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace replicas;

static_assert(!Policy<Replicate>);  // a strategy; DataParallel<Replicate> is the policy
static_assert(Policy<DataParallel<Replicate>>);

namespace {

/// A sample of models in the fast tier; grad_accum_test.cpp has others, replicate_full_test.cpp all.
template <class F> void for_sample(F&& f) {
  for_sampled_ranks<zoo::TiedGptCase, zoo::OddMlpCase, zoo::LittleFrozenCase>(f);
}

// ---------------------------------------------------------------- law 1

TEST_CASE("Replicate: N ranks have the gradient of one rank on the concatenated batch") {
  for_sample([]<class Case>(int ranks) { check_gradients_of<Case>(ranks); });
}

TEST_CASE("Replicate: after 20 steps every rank holds the same bits, and a second run too") {
  for_sample([]<class Case>(int ranks) { check_bits_of<Case>(ranks); });
}

TEST_CASE("Replicate: 64 ranks on any number of cores, with and without workers") {
  using Case = zoo::TiedGptCase;
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    const Setup setup{.ranks = 64, .each = 1, .steps = 3, .stream = stream};
    const auto traces = train<RunOf<Case>, Case>(setup);
    CHECK(all_same(traces, traces[0]));
    const auto first = train<RunOf<Case>, Case>({.ranks = 64, .each = 1, .stream = stream});
    const Exact exact = ExactGradient<Case>(first[0].start).of(batch_of<Case>(setup, 0));
    CHECK(worst_error(first[0].gradients, exact, 64 * Case::tokens, 64).ratio <= 1);
  }
}

TEST_CASE("Replicate: a change of one sample on one rank is in everybody's gradient") {
  using Case = zoo::OddMlpCase;
  const auto gradients_with = [](int label) {
    std::vector<std::vector<NamedTensor>> gradients(3);
    const auto step = [&](auto& run, World& world) {
      zoo::Batch<Case> batch(3);
      batch.labels()[2] = label;  // rank 2's only row
      const int r = world.rank();
      run.step(batch.x().samples(r, 1), batch.y().samples(r, 1));
      gradients[static_cast<std::size_t>(r)] = run.gather_gradients();
    };
    on_ranks<RunOf<Case>>(3, options_of<RunOf<Case>, Case>({.each = 1}), step);
    CHECK(same_bits(gradients[0], gradients[2]));
    return gradients[0];
  };
  CHECK_FALSE(same_bits(gradients_with(0), gradients_with(1)));
}

// ---------------------------------------------------------------- law 7

TEST_CASE("Replicate: a delay of any collective on any rank changes no bit") {
  for_sample([]<class Case>(int ranks) { check_delays_of<Case>(ranks, 1); });
}

// ---------------------------------------------------------------- law 5

TEST_CASE("Replicate: every rank makes the planned calls, and no other") {
  for_sample([]<class Case>(int ranks) { check_calls_of<Case>(ranks); });
}

TEST_CASE("Replicate: the heap that a run takes is the planned peak, to the byte") {
  if (!Allocations::available) return;
  for_sample([]<class Case>(int ranks) { check_peak_of<Case>(ranks); });
}

TEST_CASE("Replicate: ten steps, evaluations and predictions allocate nothing on any thread") {
  if (!Allocations::available) return;
  for_sample([]<class Case>(int ranks) {
    check_steps_allocate_nothing<Case>(ranks, StreamMode::on_compute_thread);
    check_steps_allocate_nothing<Case>(ranks, StreamMode::worker);
  });
}

}  // namespace
