// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/clip_grad_norm_test.cpp: the norm is that of the mean gradient, the same number
// everywhere; a factor of one changes nothing.
#include <cohort/policies/clip_grad_norm.hpp>

#include <doctest/doctest.h>

#include "../run/support.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Policy<ClipGradNorm> && Policy<NoClip>);
static_assert(std::is_same_v<ClipGradNorm::slot, NoClip::slot>);
static_assert(ClipGradNorm::needs_norm && !NoClip::needs_norm);
static_assert(std::is_same_v<decltype(NoClip::Options::max_norm), Unset>);

namespace {

template <class Case, class... Ps>
using RunOf = Trainer<typename Case::Model, typename Case::Loss, Ps...>;
using Clipped = RunOf<zoo::OddMlpCase, ClipGradNorm, optim::Sgd>;

/// One training of OddMlp with a maximum, on some ranks.
std::vector<Trace> train_to(double max_norm, int ranks, int steps) {
  std::vector<Trace> traces(static_cast<std::size_t>(ranks));
  auto options = options_of<Clipped, zoo::OddMlpCase>({.each = 4});
  options.clip.max_norm = max_norm;
  on_ranks<Clipped>(ranks, options, [&](auto& run, World& world) {
    Trace& trace = traces[static_cast<std::size_t>(world.rank())];
    for (int step = 0; step < steps; ++step) {
      const zoo::Batch<zoo::OddMlpCase> batch(4 * ranks, 1 + static_cast<std::uint64_t>(step));
      trace.start = run.gather_parameters();
      trace.reports.push_back(
          run.step(batch.x().samples(4 * world.rank(), 4), batch.y().samples(4 * world.rank(), 4)));
    }
    trace.parameters = run.gather_parameters();
    trace.gradients = run.gather_gradients();
  });
  return traces;
}

double exact_norm(const Trace& trace) {
  long double squares = 0;
  for (const NamedTensor& g : trace.gradients)
    for (float v : g.values) squares += static_cast<long double>(v) * v;
  return static_cast<double>(std::sqrt(squares)) / trace.reports.back().weight;
}

TEST_CASE("ClipGradNorm: the reported norm is that of the mean gradient, on every rank") {
  for (int ranks : {1, 2, 3, 5, 8}) {
    CAPTURE(ranks);
    const auto traces = train_to(0.1, ranks, 3);
    CHECK(all_same(traces, traces[0]));
    const StepReport& r = traces[0].reports.back();
    const double exact = exact_norm(traces[0]);
    // 64 squares a chunk are summed in fp64, all positive, then exactly; a root and a division.
    CHECK(std::abs(r.grad_norm - exact) <=
          (64 + 2) * std::numeric_limits<double>::epsilon() * exact);
    CHECK(r.clip_coefficient == 0.1 / (r.grad_norm + 1e-6));  // torch.nn.utils.clip_grad_norm_
    CHECK(r.clip_coefficient < 1);
  }
}

TEST_CASE("ClipGradNorm: equal gradients have equal norms, coefficients and updates for any N") {
  // Small whole numbers: every product and sum is exact, however rows are dealt to ranks.
  using Run = RunOf<zoo::SingleParameterCase, ClipGradNorm, optim::Sgd>;
  std::vector<float> x(12 * 3), y(12 * 3);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(i % 7) - 3;
    y[i] = static_cast<float>(i % 5);
  }
  std::vector<Trace> first;
  for (int ranks : {1, 2, 3, 4, 6, 12}) {
    CAPTURE(ranks);
    const int mine = 12 / ranks;
    std::vector<Trace> traces(static_cast<std::size_t>(ranks));
    on_ranks<Run>(ranks, {.batch = mine}, [&](auto& run, World& world) {
      Trace& trace = traces[static_cast<std::size_t>(world.rank())];
      const std::size_t at = static_cast<std::size_t>(3 * mine * world.rank());
      trace.reports.push_back(run.step({x.data() + at, {mine, 1}}, {y.data() + at, {mine, 1}}));
      trace.parameters = run.gather_parameters();
      trace.gradients = run.gather_gradients();
    });
    if (first.empty()) first = traces;
    CHECK(first[0].reports[0].clip_coefficient < 1);
    CHECK(all_same(traces, first[0]));
  }
}

TEST_CASE("ClipGradNorm: the update uses coefficient x mean gradient") {
  const auto trace = train_to(0.25, 2, 1)[0];
  const StepReport& r = trace.reports[0];
  const double scale = r.clip_coefficient / r.weight * r.learning_rate;
  const double eps = std::numeric_limits<float>::epsilon();
  for (std::size_t i = 0; i < trace.start.size(); ++i) {
    for (std::size_t k = 0; k < trace.start[i].values.size(); ++k) {
      const double before = trace.start[i].values[k], change = scale * trace.gradients[i].values[k];
      // Sgd's first step in fp32: scale rounded, two products, one subtraction.
      CHECK(std::abs(trace.parameters[i].values[k] - (before - change)) <=
            eps * (std::abs(before) + 4 * std::abs(change)));
    }
  }
}

TEST_CASE("ClipGradNorm: a maximum that is not reached gives the bits of NoClip") {
  // Then the coefficient is exactly 1, and 1 / weight is the scale of both.
  const Setup setup{.ranks = 3, .each = 4, .steps = 5};
  const auto plain = train<RunOf<zoo::OddMlpCase, optim::Sgd>, zoo::OddMlpCase>(setup);
  const auto traces = train_to(1e9, 3, 5);
  CHECK(traces[0].reports.back().clip_coefficient == 1);
  CHECK(traces[0].reports.back().grad_norm > 0);
  CHECK(plain[0].reports.back().grad_norm == 0);  // nobody asked for it
  CHECK(same_bits(traces[0].parameters, plain[0].parameters));
}

TEST_CASE("ClipGradNorm: a maximum of zero stops plain Sgd") {
  const auto trace = train_to(0, 2, 1)[0];
  CHECK(trace.reports[0].clip_coefficient == 0);
  CHECK(same_bits(trace.start, trace.parameters));
}

TEST_CASE("ClipGradNorm: a gradient beyond fp32 is an error on every rank, before the update") {
  using Run = RunOf<zoo::SingleParameterCase, ClipGradNorm, optim::Sgd>;
  std::atomic<int> unchanged{0};
  const auto act = [&](auto& run, World& world) {
    const auto before = run.gather_parameters();
    // One rank's row has loss 3e40, a number in fp64, and gradient 6e40, infinite in fp32.
    const float big = world.rank() == 1 ? 1e20f : 1.0f;
    const float x[3] = {big, big, big}, y[3] = {};
    try {
      run.step({x, {1, 1}}, {y, {1, 1}});
    } catch (const NonFinite&) {
      unchanged += same_bits(run.gather_parameters(), before);
      throw;
    }
  };
  CHECK_THROWS_AS(on_ranks<Run>(3, {.batch = 1}, act), NonFinite);
  CHECK(unchanged == 3);
}

}  // namespace
