// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/dynamic_loss_scale_test.cpp: GradScaler's scales, and steps that are skipped everywhere.
#include <cohort/policies/dynamic_loss_scale.hpp>

#include <doctest/doctest.h>

#include "../support/overflowing.hpp"
#include "mixed.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

// ---------------------------------------------------------------- the state machine

using Default = DynamicLossScale<>;
using Quick = DynamicLossScale<1024, 2, 2, 3>;

static_assert(Default::start == LossScale{65536, 0});  // PyTorch's defaults
static_assert(Default::next({65536, 1998}, false) == LossScale{65536, 1999});
static_assert(Default::next({65536, 1999}, false) == LossScale{131072, 0});
static_assert(Default::next({65536, 1999}, true) == LossScale{32768, 0});
static_assert(Quick::next(Quick::next(Quick::start, false), true) == LossScale{512, 0});
static_assert(Default::next({0x1p127, 1999}, false) == LossScale{0x1p127, 0});  // 2^128 is no fp32
static_assert(Default::next({0x1p-20, 5}, true) == LossScale{0x1p-21, 0});

// ---------------------------------------------------------------- steps

struct OverflowCase : zoo::Case<zoo::Gpt, Overflowing, 4> {
  static constexpr const char* name() { return "Gpt that overflows"; }
};
template <class How, class Clip = ClipGradNorm, class Scale = Quick>
using RunOf = Trainer<zoo::Gpt, Overflowing, DataParallel<How>, Clip, Buckets<256, 1024>,
                      MixedPrecision<fp16, fp32>, Scale, optim::WarmupCosine>;

/// What one rank saw of steps that overflow on rank `late` where `overflows` says so.
struct Steps {
  std::vector<StepReport> reports;
  std::vector<std::vector<NamedTensor>> parameters;  // after each step
  LossScale scale;
};
template <class Run>
std::vector<Steps> train_with(int ranks, int late, const std::vector<bool>& overflows,
                              LossScale start = Quick::start, StreamMode stream = {}) {
  std::vector<Steps> all(static_cast<std::size_t>(ranks));
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    const Setup setup{.ranks = ranks, .stream = stream};
    auto options = options_of<Run, OverflowCase>(setup);
    options.schedule = {.total_steps = 20};
    auto run = Run::on(world, options);
    run.set_loss_scale(start);
    Steps& mine = all[static_cast<std::size_t>(world.rank())];
    int good = 0;
    for (const bool overflow : overflows) {
      const auto batch = batch_of<OverflowCase>(setup, overflow ? 100 : good);
      const int first = world.rank() * setup.each;
      Overflowing::now = overflow && world.rank() == late;
      mine.reports.push_back(
          run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each)));
      mine.parameters.push_back(run.gather_parameters());
      good += !overflow;
    }
    mine.scale = run.loss_scale();
    Overflowing::now = false;
  });
  return all;
}

template <class Run> void check_skips(int ranks, int late, StreamMode stream) {
  CAPTURE(ranks);
  CAPTURE(late);
  const std::vector<bool> overflows{false, true, false, true, true, false, false, false, false};
  const auto all = train_with<Run>(ranks, late, overflows, Quick::start, stream);
  // 1024 -1-> 1024 -overflow-> 512 -1-> -overflow-> 256 -overflow-> 128 -3-> 256 -1->
  const double scales[] = {1024, 1024, 512, 512, 256, 128, 128, 128, 256};
  for (const Steps& mine : all) {
    std::int64_t updates = 0;
    for (std::size_t i = 0; i < overflows.size(); ++i) {
      CAPTURE(i);
      const StepReport& r = mine.reports[i];
      updates += !overflows[i];
      CHECK(r.skipped == overflows[i]);
      CHECK(r.loss_scale == scales[i]);
      CHECK(r.step == updates);
      CHECK(std::isnan(r.grad_norm) == r.skipped);
      CHECK(same_bits(r, all[0].reports[i]));
      CHECK(same_bits(mine.parameters[i], all[0].parameters[i]));
      if (i > 0) CHECK(same_bits(mine.parameters[i], mine.parameters[i - 1]) == bool(overflows[i]));
    }
    CHECK(mine.scale == LossScale{256, 1});
  }
}
TEST_CASE("DynamicLossScale: an overflow on one rank skips the step on all, under every strategy") {
  for (StreamMode stream : both_streams) {
    check_skips<RunOf<Replicate>>(3, 1, stream);
    check_skips<RunOf<ShardOptimizer>>(3, 2, stream);
    check_skips<RunOf<FullShard>>(3, 0, stream);
  }
  check_skips<RunOf<FullShard, NoClip>>(2, 1, both_streams[0]);  // the norm is there for overflows
  check_skips<RunOf<Replicate>>(1, 0, both_streams[0]);
}

TEST_CASE("DynamicLossScale: a skipped step leaves moments, step count and schedule untouched") {
  // The same updates at the same scales without the overflow between them.
  const auto with = train_with<RunOf<FullShard>>(2, 1, {false, false, true, false, false});
  const auto before =
      train_with<RunOf<FullShard>>(2, 1, {false, false, false, false}, {Quick::start.scale, -100});
  CHECK(with[0].reports[3].loss_scale == 512);
  CHECK(before[0].reports[2].loss_scale == 1024);
  // fp16 gradients above its subnormal numbers have the same bits at both scales; here all do.
  CHECK(same_bits(with[0].parameters[4], before[0].parameters[3]));
  CHECK(with[0].reports[4].learning_rate == before[0].reports[3].learning_rate);
}

TEST_CASE(
    "DynamicLossScale: norm, clipping and gradients by name are those of the mean, unscaled") {
  const Setup setup{.ranks = 4, .steps = 1};
  using Scaled = MixedRun<zoo::GptCase, FullShard, 2, MixedPrecision<fp16, fp32>, Default>;
  using Plain = MixedRun<zoo::GptCase, FullShard, 2, MixedPrecision<fp32>>;
  const Seen scaled = train_sharded<Scaled, zoo::GptCase>(setup)[0];
  const Seen plain = train_sharded<Plain, zoo::GptCase>(setup)[0];
  CHECK(scaled.reports[0].loss_scale == 65536);
  // Roundings of 2^-11 in a few dozen operations, which differ in sign: 1 % is beyond them.
  CHECK(scaled.reports[0].loss == doctest::Approx(plain.reports[0].loss).epsilon(1e-3));
  CHECK(scaled.reports[0].grad_norm == doctest::Approx(plain.reports[0].grad_norm).epsilon(0.01));
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < plain.gradients.size(); ++i)
    for (std::size_t k = 0; k < plain.gradients[i].values.size(); ++k) {
      const double g = plain.gradients[i].values[k];
      difference += std::pow(scaled.gradients[i].values[k] - g, 2);
      size += g * g;
    }
  CHECK(std::sqrt(difference / size) < 0.01);
}

TEST_CASE("DynamicLossScale: every strategy has the bits of Replicate") {
  check_mixed<zoo::GptCase, 1, MixedPrecision<fp16, fp32>, Default>({3}, both_streams[1]);
}

TEST_CASE("DynamicLossScale: gradients that overflow at any scale end the run on every rank") {
  std::atomic<int> refused{0};
  CHECK_THROWS_AS(launch<Threads>({.ranks = 3},
                                  [&](Threads& world) {
                                    const Setup setup{.ranks = 3};
                                    using Run = RunOf<Replicate>;
                                    auto options = options_of<Run, OverflowCase>(setup);
                                    options.schedule = {.total_steps = 20};
                                    auto run = Run::on(world, options);
                                    const auto batch = batch_of<OverflowCase>(setup, 0);
                                    Overflowing::now = world.rank() == 1;
                                    try {
                                      for (int step = 0; step < 100; ++step)
                                        run.step(batch.x().samples(0, 6), batch.y().samples(0, 6));
                                    } catch (const NonFinite&) {
                                      Overflowing::now = false;
                                      CHECK(run.loss_scale().scale == Quick::least);
                                      ++refused;
                                      throw;
                                    }
                                  }),
                  NonFinite);
  CHECK(refused == 3);
}

}  // namespace
