// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/clip_grad_value_test.cpp: elements of the mean gradient are limited, alike under every strategy.
#include <cohort/policies/clip_grad_value.hpp>

#include <doctest/doctest.h>

#include "clipped_values.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Policy<ClipGradValue> && HasHooks<ClipGradValue>);
static_assert(!ClipGradValue::needs_norm && ClipGradValue::clips_values && !NoClip::clips_values);

namespace {

using Sgd = RunOf<zoo::OddMlpCase, ClipGradValue, optim::Sgd>;

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

TEST_CASE("ClipGradValue: a limit that is not reached gives the bits of NoClip") {
  check_unreached<MixedPrecision<bf16, fp32>>();
}

TEST_CASE("ClipGradValue: a limit of zero stops plain Sgd") {
  const Trace trace = train_to<Sgd, zoo::OddMlpCase>(0, 2, 1)[0];
  CHECK(same_bits(trace.start, trace.parameters));
}

TEST_CASE("ClipGradValue: FullShard has the bits of Replicate") {
  check_strategy<zoo::NestedRepeatCase, FullShard>();
}

TEST_CASE("ClipGradValue: a gradient of more than one piece is limited to its end") {
  struct Wide : zoo::Case<nn::Linear<200, 200>, nn::MeanSquaredError<200>> {};  // 40200 > 2 x 16384
  const Trace trace = train_to<RunOf<Wide, ClipGradValue, optim::Sgd>, Wide>(0, 1, 1)[0];
  CHECK(same_bits(trace.start, trace.parameters));
  const Trace moved = train_to<RunOf<Wide, ClipGradValue, optim::Sgd>, Wide>(1e-9, 1, 1)[0];
  CHECK(moved.reports[0].step == 1);
}

}  // namespace
