// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/clip_grad_value_test.cpp: elements of the mean gradient are limited, alike under every strategy.
#include <cohort/policies/clip_grad_value.hpp>

#include <doctest/doctest.h>

#include "mixed.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Policy<ClipGradValue> && HasHooks<ClipGradValue>);
static_assert(!ClipGradValue::needs_norm && ClipGradValue::clips_values && !NoClip::clips_values);

namespace {

template <class Case, class... Ps>
using RunOf = Trainer<typename Case::Model, typename Case::Loss, Ps...>;
using Sgd = RunOf<zoo::OddMlpCase, ClipGradValue, optim::Sgd>;

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

TEST_CASE("ClipGradValue: an update is that of the mean gradient with its elements limited") {
  constexpr double eps = std::numeric_limits<float>::epsilon(), most = 0.01, rate = 1e-2;
  for (int ranks : {1, 3}) {
    CAPTURE(ranks);
    const Trace trace = train_to<Sgd, zoo::OddMlpCase>(most, ranks, 1)[0];
    int limited = 0, free = 0;
    for (std::size_t i = 0; i < trace.gradients.size(); ++i) {
      for (std::size_t k = 0; k < trace.gradients[i].values.size(); ++k) {
        const double mean = trace.gradients[i].values[k] / trace.reports[0].weight;
        (std::abs(mean) > most ? limited : free) += 1;
        const double before = trace.start[i].values[k];
        const double change = rate * std::clamp(mean, -most, most);  // torch's clip_grad_value_
        // The scale and the limit are rounded, two products, one subtraction.
        CHECK(std::abs(trace.parameters[i].values[k] - (before - change)) <=
              eps * (std::abs(before) + 4 * std::abs(change)));
      }
    }
    CHECK(limited > 20);  // the test sees both sides
    CHECK(free > 20);
  }
}

template <class... Precision> void check_unreached() {
  using Case = zoo::OddMlpCase;
  const auto plain =
      train<RunOf<Case, optim::AdamW, Precision...>, Case>({.ranks = 3, .each = 4, .steps = 5});
  const auto clipped =
      train_to<RunOf<Case, ClipGradValue, optim::AdamW, Precision...>, Case>(1e9, 3, 5);
  CHECK(all_same(clipped, plain[0]));
}

TEST_CASE("ClipGradValue: a limit that is not reached gives the bits of NoClip") {
  check_unreached<>();
  check_unreached<MixedPrecision<bf16, fp32>>();
  check_unreached<MixedPrecision<bf16, bf16>>();
}

TEST_CASE("ClipGradValue: a limit of zero stops plain Sgd") {
  const Trace trace = train_to<Sgd, zoo::OddMlpCase>(0, 2, 1)[0];
  CHECK(same_bits(trace.start, trace.parameters));
}

/// Four steps in which about every element meets the limit.
template <class... Precision> void check_strategies() {
  using Case = zoo::GptCase;
  const auto expected = train_to<RunOf<Case, ClipGradValue, Precision...>, Case>(1e-3, 3, 4);
  CHECK(all_same(expected, expected[0]));
  CHECK(all_same(
      train_to<RunOf<Case, ClipGradValue, DataParallel<ShardOptimizer>, Precision...>, Case>(1e-3,
                                                                                             3, 4),
      expected[0]));
  CHECK(all_same(
      train_to<RunOf<Case, ClipGradValue, DataParallel<FullShard>, Precision...>, Case>(1e-3, 3, 4),
      expected[0]));
}

TEST_CASE("ClipGradValue: every strategy has the bits of Replicate, with masters and without") {
  SUBCASE("fp32") { check_strategies<>(); }
  SUBCASE("bf16, fp32 masters") { check_strategies<MixedPrecision<bf16, fp32>>(); }
  SUBCASE("bf16 alone") { check_strategies<MixedPrecision<bf16, bf16>>(); }
}

TEST_CASE("ClipGradValue: a gradient of more than one piece is limited to its end") {
  struct Wide : zoo::Case<nn::Linear<200, 200>, nn::MeanSquaredError<200>> {};  // 40200 > 2 x 16384
  const Trace trace = train_to<RunOf<Wide, ClipGradValue, optim::Sgd>, Wide>(0, 1, 1)[0];
  CHECK(same_bits(trace.start, trace.parameters));
  const Trace moved = train_to<RunOf<Wide, ClipGradValue, optim::Sgd>, Wide>(1e-9, 1, 1)[0];
  CHECK(moved.reports[0].step == 1);
}

}  // namespace
