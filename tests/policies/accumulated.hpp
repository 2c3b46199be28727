// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/accumulated.hpp: micro-batches beside one batch and beside the gradient in fp64.
#pragma once
#include "../run/support.hpp"

namespace cohort::test::accumulated {

template <class Case, int N>
using RunOf = Trainer<typename Case::Model, typename Case::Loss, GradAccum<N>, Buckets<256, 1024>,
                      optim::Sgd>;

/// The gradient of a step equals the fp64 gradient of the whole batch. Each micro-batch adds once
/// more to every element.
template <class Case, int N> void check_gradient(const Trace& trace, const Setup& setup) {
  const Exact exact = ExactGradient<Case>(trace.start).of(batch_of<Case>(setup, 0));
  const int rows = setup.ranks * setup.each * Case::tokens;
  const Worst worst = worst_error(trace.gradients, exact, rows, setup.ranks + N);
  CAPTURE(worst.name);
  CHECK(worst.ratio <= 1);
  CHECK(trace.reports[0].weight == exact.weight);
}

template <class Case, int N> void check_accumulation(int ranks) {
  const Setup setup{.ranks = ranks, .each = 6};
  const auto traces = train<RunOf<Case, N>, Case>(setup);
  CHECK(all_same(traces, traces[0]));
  check_gradient<Case, N>(traces[0], setup);
  CHECK(traces[0].calls == planned_calls<RunOf<Case, N>>());
}

/// Two runs over the same rows: |a - b| <= |a - exact| + |exact - b|.
template <class Case, int N> void check_against_one(int ranks) {
  const Setup setup{.ranks = ranks, .each = 6};
  const auto many = train<RunOf<Case, N>, Case>(setup), one = train<RunOf<Case, 1>, Case>(setup);
  REQUIRE(same_bits(many[0].start, one[0].start));
  const Exact exact = ExactGradient<Case>(one[0].start).of(batch_of<Case>(setup, 0));
  const int rows = ranks * setup.each * Case::tokens;
  for (std::size_t i = 0; i < one[0].gradients.size(); ++i) {
    const double tolerance = exact.tolerance(i, rows, ranks) + exact.tolerance(i, rows, ranks + N);
    for (std::size_t k = 0; k < one[0].gradients[i].values.size(); ++k) {
      const double a = many[0].gradients[i].values[k], b = one[0].gradients[i].values[k];
      CHECK(std::abs(a - b) <= tolerance);
    }
  }
  // The loss: one rounding of fp64 a term, and fp32 outputs that do not depend on the cut
  // (DefaultGemm gives a row the same bits whatever rows are around it).
  const double eps = std::numeric_limits<double>::epsilon();
  CHECK(std::abs(many[0].reports[0].loss - one[0].reports[0].loss) <=
        rows * eps * std::abs(one[0].reports[0].loss));
  CHECK(many[0].calls == one[0].calls);  // nothing more goes over the wire, nothing else
}

}  // namespace cohort::test::accumulated
