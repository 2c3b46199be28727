// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/grad_accum_test.cpp: N micro-batches are one batch; one exchange follows them.
#include <cohort/policies/grad_accum.hpp>

#include <doctest/doctest.h>

#include "../run/support.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Policy<GradAccum<1>> && Policy<GradAccum<4>>);
static_assert(AtLeastOneMicroBatch<1> && !AtLeastOneMicroBatch<0> && !AtLeastOneMicroBatch<-2>);

namespace {

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

TEST_CASE("GradAccum: three micro-batches have the gradient of one batch, for every model") {
  int ranks = 0;
  zoo::for_each_case([&]<class Case>() {
    INFO(Case::name());
    check_accumulation<Case, 3>(1 + ranks % 3);
    ++ranks;
  });
}
TEST_CASE("GradAccum: three micro-batches, every model and number of ranks [full]") {
  zoo::for_each_case([]<class Case>() {
    INFO(Case::name());
    for (int ranks : {1, 2, 3, 4, 5, 7, 8}) check_accumulation<Case, 3>(ranks);
  });
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

TEST_CASE("GradAccum<2>, GradAccum<3> == GradAccum<1> on the same rows; the same exchange") {
  for (int ranks : {1, 3}) {
    check_against_one<zoo::TiedGptCase, 3>(ranks);
    check_against_one<zoo::TiedGptCase, 2>(ranks);
    check_against_one<zoo::NestedRepeatCase, 3>(ranks);
    check_against_one<zoo::RegressionCase, 3>(ranks);
  }
}

TEST_CASE("GradAccum: only the last micro-batch has collectives in the plan") {
  using Three = RunOf<zoo::TiedGptCase, 3>::plan_type;
  using One = RunOf<zoo::TiedGptCase, 1>::plan_type;
  static_assert(Three::program<MicroBatch::first>.count == 0);
  static_assert(Three::program<MicroBatch::middle>.count == 0);
  static_assert(Three::program<MicroBatch::last>.count == One::program<MicroBatch::only>.count);
  static_assert(Three::wire_bytes({.ranks = 4, .batch = 6}) ==
                One::wire_bytes({.ranks = 4, .batch = 6}));
  // Activations are those of a third of the batch; what lives from step to step is the same.
  constexpr Sizes whole{.ranks = 2, .batch = 6, .tokens = 5},
      third{.ranks = 2, .batch = 2, .tokens = 5};
  static_assert(Three::memory(whole).activations == One::memory(third).activations);
  static_assert(Three::memory(whole).gradients == One::memory(whole).gradients);
  static_assert(Three::effective_batch(whole) == 12 && Three::micro_batch(whole) == 2);
}

TEST_CASE("GradAccum: delays and workers change no bit over many steps") {
  using Case = zoo::TiedGptCase;
  using Run = RunOf<Case, 3>;
  for (int ranks : {2, 3}) {
    const auto expected = train<Run, Case>({.ranks = ranks, .steps = 4});
    for (std::uint64_t seed : {1, 2, 3}) {
      for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
        const Setup late{.ranks = ranks, .steps = 4, .stream = stream, .delay_seed = seed};
        CHECK(all_same(train<Run, Case>(late), expected[0]));
      }
    }
  }
}

TEST_CASE("GradAccum: a batch that cannot be cut is refused before anything is issued") {
  using Case = zoo::RegressionCase;
  using Run = RunOf<Case, 3>;
  const auto wrong = [](World& world, int batch) { Run::on(world, {.batch = batch}); };
  for (int batch : {4, 1, 0, -3}) {
    CHECK_THROWS_AS(launch<Threads>({.ranks = 2},
                                    [&](Threads& threads) {
                                      World world = make_world(threads);
                                      wrong(world, batch);
                                    }),
                    InvalidInput);
  }
  on_ranks<Run>(1, options_of<Run, Case>({}), [](auto& run, World& world) {
    const zoo::Batch<Case> batch(6);
    log_of(world).clear();
    for (int samples : {0, 1, 4, 5}) {
      CHECK_THROWS_AS(run.step(batch.x().samples(0, samples), batch.y().samples(0, samples)),
                      InvalidInput);
    }
    CHECK(log_of(world).log().empty());
    CHECK(run.step(batch.x().samples(0, 3), batch.y().samples(0, 3)).step == 1);  // still usable
  });
}

TEST_CASE("GradAccum: a batch of evaluation passes in micro-batches; a prediction is one of them") {
  using Case = zoo::TiedGptCase;
  const auto loss_with = [](auto run_type) {
    using Run = typename decltype(run_type)::type;
    LossSum total;
    on_ranks<Run>(1, options_of<Run, Case>({}), [&](auto& run, World&) {
      const zoo::Batch<Case> batch(6);
      total = run.evaluate(batch.x().samples(0, 5), batch.y().samples(0, 5));
      CHECK(run.predict(batch.x().samples(0, 2)).rows.samples == 2);
      if (Run::plan_type::micro_batches > 1)
        CHECK_THROWS_AS(run.predict(batch.x().samples(0, 3)), InvalidInput);
    });
    return total;
  };
  const LossSum one = loss_with(std::type_identity<RunOf<Case, 1>>{});
  const LossSum three = loss_with(std::type_identity<RunOf<Case, 3>>{});
  CHECK(one.weight == 25);
  CHECK(three.weight == 25);
  // Equal rows, summed in fp64 in other groups: a rounding for each of 25 additions.
  CHECK(std::abs(one.sum - three.sum) <= 25 * std::numeric_limits<double>::epsilon() * one.sum);
}

}  // namespace
