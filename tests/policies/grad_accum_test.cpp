// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/grad_accum_test.cpp: N micro-batches are one batch; one exchange follows them.
#include <cohort/policies/grad_accum.hpp>

#include <doctest/doctest.h>

#include "accumulated.hpp"
#include "tied.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Policy<GradAccum<1>> && Policy<GradAccum<4>>);
static_assert(AtLeastOneMicroBatch<1> && !AtLeastOneMicroBatch<0> && !AtLeastOneMicroBatch<-2>);

namespace cohort::test {
COHORT_TIED_TRAININGS(COHORT_TIED_TRAINING)  // for buckets_test.cpp and groups_test.cpp
}  // namespace cohort::test

namespace {

using namespace accumulated;

TEST_CASE("GradAccum: three micro-batches have the gradient of one batch, a sample of models") {
  int ranks = 0;
  zoo::for_cases<zoo::TiedGptCase, zoo::SingleParameterCase, zoo::RegressionCase>(
      [&]<class Case>() {
        INFO(Case::name());
        check_accumulation<Case, 3>(1 + ranks % 3);
        ++ranks;
      });
}

TEST_CASE("GradAccum<2>, GradAccum<3> == GradAccum<1> on the same rows; the same exchange") {
  for (int ranks : {1, 3}) {
    check_against_one<zoo::TiedGptCase, 3>(ranks);
    check_against_one<zoo::TiedGptCase, 2>(ranks);
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
