// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/averaged_storage_test.cpp: averages over the global batch: by hand, under every strategy, in files.
#include <cohort/run/averaged_storage.hpp>

#include <doctest/doctest.h>

#include <cohort/run/check_sync.hpp>

#include "../policies/replicated.hpp"
#include "averages.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::AveragingCase;
template <class How, int N = 1, class... More>
using RunOf = ShardedRun<Case, How, N, KeepUnsharded, optim::AdamW, More...>;

// ---------------------------------------------------------------- the plan

using Plan = RunOf<FullShard>::plan_type;
static_assert(Plan::averages && Plan::layout.averaged == 6 * chunk);
static_assert(Plan::layout.num_averaged_elements() == 2 * 6 + 4 * 5);
static_assert(Plan::layout.num_frozen_elements() == 0 && Plan::layout.frozen == 0);
// Values, sums and the number of samples; six rates in one line of memory.
static_assert(Plan::average_bytes == (6 + 6 + 1) * chunk * sizeof(float) + 64);
static_assert(Plan::memory({}).averages == Plan::average_bytes);
static_assert(ShardedRun<zoo::GptCase, FullShard>::plan_type::average_bytes == 0);

TEST_CASE("averages: a plan lists their all-reduce, their bytes and their number") {
  const std::string text = printed(RunOf<Replicate>::plan);
  CHECK(text.find("averages: 32 of the parameters follow the data") != std::string::npos);
  CHECK(text.find("all_reduce     averages             385 f32") != std::string::npos);
  CHECK(text.find("averages") < text.find("loss"));
}

TEST_CASE("averages: recorded collectives and heap are the planned ones") {
  check_tape<RunOf<Replicate, 2>, Case>(2);
  check_tape<RunOf<FullShard>, Case>(3);
  check_heap<RunOf<Replicate>, Case>(2);
  check_heap<RunOf<FullShard>, Case>(3);
  check_steps_allocate_nothing<RunOf<FullShard>, Case>(2);
}

// ---------------------------------------------------------------- the numbers

TEST_CASE(
    "averages: each step moves them to the average over all ranks' samples, by hand in fp64") {
  for (const int ranks : {1, 2, 3}) {
    CAPTURE(ranks);
    check_by_hand<RunOf<Replicate>, Case>({.ranks = ranks, .each = 12 / ranks, .steps = 4});
    check_by_hand<RunOf<Replicate, 2>, Case>({.ranks = ranks, .each = 12 / ranks, .steps = 4});
  }
  check_by_hand<RunOf<FullShard, 2, MixedPrecision<bf16, fp32>>, Case>(
      {.ranks = 3, .each = 4, .steps = 4}, half_unit<bf16>);
}

TEST_CASE("averages: the same bits in shards, on a worker or not") {
  for (const int ranks : {1, 2, 3, 5})
    check_like_replicate<Case, FullShard, 2>(ranks, {both_streams[0], both_streams[1]});
}

TEST_CASE("averages: any cut into micro-batches and ranks gives the same within rounding") {
  const auto trained = [](auto run, int ranks) {
    using Run = typename decltype(run)::type;
    return train<Run, Case>({.ranks = ranks, .each = 12 / ranks, .steps = 3})[0].parameters;
  };
  const auto one = trained(std::type_identity<Trainer<Case::Model, Case::Loss, optim::Sgd>>{}, 1);
  using Cut = Trainer<Case::Model, Case::Loss, optim::Sgd, GradAccum<2>>;
  for (const int ranks : {1, 2, 3, 6}) {
    const auto all = trained(std::type_identity<Cut>{}, ranks);
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t k = 0; k < all[i].values.size(); ++k)
        // Three steps on values of order one, each a sum of 36 rows in another order.
        REQUIRE(std::abs(all[i].values[k] - one[i].values[k]) <= 3 * 64 * 0x1p-24);
  }
}

TEST_CASE("averages: ranks with different rows weigh by samples, not by ranks") {
  // Three ranks with 1, 3 and 2 samples of three equal rows each: the values are the samples' numbers.
  using Model = nn::Sequential<nn::Linear<6, 6>, zoo::Standardize<6>>;
  using Run = Trainer<Model, nn::MeanSquaredError<6>, DataParallel<ShardGradients>>;
  launch<Threads>({.ranks = 3}, [](Threads& world) {
    auto run = Run::on(world, {.batch = 3, .tokens = 3, .learning_rate = 0});
    std::vector<float> identity(36);
    for (std::size_t c = 0; c < 6; ++c) identity[7 * c] = 1;
    run.set_parameter("0.weight", identity);
    const int samples[] = {1, 3, 2}, first[] = {0, 1, 4};
    const int mine = samples[world.rank()];
    std::vector<float> x;
    for (int s = 0; s < mine; ++s) x.insert(x.end(), 18, float(first[world.rank()] + s));
    run.step({x.data(), {mine, 3}}, {x.data(), {mine, 3}});
    for (const NamedTensor& t : run.gather_parameters()) {
      // Mean of 0 ... 5; the mean of their squares, from the old mean 0.
      if (t.name == "1.mean") CHECK(t.values == std::vector<float>(6, 0.25f * 2.5f));
      if (t.name == "1.variance")
        for (const float v : t.values) CHECK(std::abs(v - (0.75f + 0.25f * 55 / 6)) <= 4e-7f);
    }
  });
}

TEST_CASE("averages: computing a layer again does not count it twice") {
  const auto trained = []<class Block>(std::type_identity<Block>) {
    using Model = nn::Sequential<nn::Linear<6, 5>, nn::Repeat<2, Block>, nn::Linear<5, 4>>;
    struct Both : zoo::Case<Model, nn::CrossEntropy, 3> {};
    return train<Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>>, Both>(
        {.ranks = 2, .steps = 3})[0];
  };
  using Block = nn::Sequential<zoo::Standardize<5>, nn::Linear<5, 5>>;
  const Trace once = trained(std::type_identity<Block>{});
  const Trace again = trained(std::type_identity<nn::Checkpointed<Block>>{});
  CHECK(same_bits(once.parameters, again.parameters));
  CHECK(once.calls == again.calls);
}

TEST_CASE("averages: a step without an update leaves them as they were") {
  using Run = Trainer<Case::Model, Case::Loss, ClipGradNorm>;
  on_ranks<Run>(2, options_of<Run, Case>({}), [](auto& run, World& world) {
    const zoo::Batch<Case> batch(12);
    const int first = 6 * world.rank();
    run.step(batch.x().samples(first, 6), batch.y().samples(first, 6));
    const auto before = run.gather_parameters();
    std::vector<float> x(6 * 3 * 6, world.rank() == 1 ? NAN : 1.0f);
    CHECK_THROWS_AS(run.step({x.data(), {6, 3}}, batch.y().samples(first, 6)), NonFinite);
    CHECK(same_bits(run.gather_parameters(), before));
    run.step(batch.x().samples(first, 6), batch.y().samples(first, 6));
    for (const NamedTensor& t : run.gather_parameters())
      for (const float v : t.values) CHECK(std::isfinite(v));
  });
}

TEST_CASE("averages: a value whose square overflows ends the step on every rank, and is named") {
  const auto fails = []<class Run>(std::type_identity<Run>, const std::string& says) {
    std::atomic<int> said = 0;
    on_ranks<Run>(2, options_of<Run, Case>({}), [&](auto& run, World& world) {
      const zoo::Batch<Case> batch(12);
      const int first = 6 * world.rank();
      run.step(batch.x().samples(first, 6), batch.y().samples(first, 6));
      const auto before = run.gather_parameters();
      std::vector<float> x(6 * 3 * 6, 1.0f);
      if (world.rank() == 1) x[7] = 1e20f;  // of no harm to the loss
      try {
        run.step({x.data(), {6, 3}}, batch.y().samples(first, 6));
      } catch (const NonFinite& e) {
        const bool found = std::string(e.what()).find(says) != std::string::npos;
        CHECK_MESSAGE(found, std::string(e.what()));
        said += found;
      }
      CHECK(same_bits(run.gather_parameters(), before));
      CHECK(run.step(batch.x().samples(first, 6), batch.y().samples(first, 6)).step == 2);
      for (const NamedTensor& t : run.gather_parameters())
        for (const float v : t.values) REQUIRE(std::isfinite(v));
    });
    CHECK(said == 2);
  };
  const std::string hint = "running average of an Averaged parameter";
  fails(std::type_identity<Trainer<Case::Model, Case::Loss>>{}, hint);
  fails(
      std::type_identity<Trainer<Case::Model, Case::Loss, DataParallel<FullShard>, ClipGradNorm>>{},
      hint);
  fails(std::type_identity<
            Trainer<Case::Model, Case::Loss, DataParallel<FullShard>, DetectAnomaly>>{},
        "rank 1: what this rank adds to the average '0.variance' has 1 infinity of 6 elements, the "
        "first (inf) at 1");
}

TEST_CASE("averages: fp16: neither the loss scale nor an overflow of it reaches them") {
  using Half = RunOf<FullShard, 2, MixedPrecision<fp16, fp32>, DynamicLossScale<>>;
  check_by_hand<Half, Case>({.ranks = 2, .each = 6, .steps = 4}, half_unit<fp16>);
}

// ---------------------------------------------------------------- by name, in files, in sync

TEST_CASE("averages: saved by any strategy and world, continued by any other, bit by bit") {
  using F = RunOf<FullShard>;
  using R = RunOf<Replicate>;
  TemporaryDirectory dir;
  const auto whole = travel<F, Case>({.ranks = 3, .steps = 6});
  const auto half = travel<F, Case>({.ranks = 3, .to = dir / "a", .steps = 3});
  CHECK(same_bits(travel<F, Case>({.ranks = 3, .from = dir / "a", .steps = 3}).parameters,
                  whole.parameters));
  for (const int ranks : {1, 2, 4}) {
    CHECK(same_bits(
        travel<R, Case>({.ranks = ranks, .from = dir / "a", .to = dir / "b", .seed = 9}).parameters,
        half.parameters));
    CHECK(saved_state(dir / "b") == saved_state(dir / "a"));
  }
  const SavedState saved = saved_state(dir / "a");
  CHECK(saved.tensors.contains("parameters/0.mean"));
  CHECK(!saved.tensors.contains("optimizer/exp_avg/0.mean"));
}

TEST_CASE(
    "averages: check_sync finds what one rank changed, also where nothing else is held twice") {
  const auto report = []<class Run>(std::type_identity<Run>, bool damage) {
    SyncReport seen;
    on_ranks<Run>(3, options_of<Run, Case>({}), [&](auto& run, World& world) {
      std::vector<float> values(5, 0.5f);
      if (damage && world.rank() == 1) values[3] = 0.25f;
      run.set_parameter("3.1.inner.0.variance", values);
      const SyncReport own = check_sync(run);
      if (world.rank() == 0) seen = own;
    });
    return seen;
  };
  const auto check = [&]<class Run>(std::type_identity<Run> run, int averages) {
    const SyncReport good = report(run, false), bad = report(run, true);
    CHECK(good.in_sync());
    CHECK((averages == 0 || good.tensors == averages));
    REQUIRE_FALSE(bad.in_sync());
    CHECK(bad.differing == 1);
    CHECK(bad.first->name == "3.1.inner.0.variance");
    REQUIRE(bad.first->others.size() == 1);
    CHECK((bad.first->others[0].rank == 1 && bad.first->others[0].first == 3));
    CHECK((bad.first->others[0].expected == 0.5 && bad.first->others[0].found == 0.25));
  };
  check(std::type_identity<RunOf<FullShard>>{}, 6);
  check(std::type_identity<RunOf<Replicate>>{}, 0);
}

TEST_CASE("averages: evaluation reads them and changes nothing") {
  using Run = RunOf<FullShard>;
  on_ranks<Run>(2, options_of<Run, Case>({}), [](auto& run, World&) {
    const zoo::Batch<Case> batch(6);
    const auto before = run.gather_parameters();
    const LossSum sum = run.evaluate(batch.x(), batch.y());
    CHECK(same_bits(run.gather_parameters(), before));
    run.set_parameter("0.mean", std::vector<float>(6, 1.0f));
    CHECK(run.evaluate(batch.x(), batch.y()).sum != sum.sum);
  });
}

}  // namespace
