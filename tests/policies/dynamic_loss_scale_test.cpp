// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/dynamic_loss_scale_test.cpp: GradScaler's scales, and steps that are skipped everywhere.
#include <cohort/policies/dynamic_loss_scale.hpp>

#include <doctest/doctest.h>

#include "overflows.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace overflows;

namespace {

// ---------------------------------------------------------------- the state machine

using Default = DynamicLossScale<>;

static_assert(Default::start == LossScale{65536, 0});  // PyTorch's defaults
static_assert(Default::next({65536, 1998}, false) == LossScale{65536, 1999});
static_assert(Default::next({65536, 1999}, false) == LossScale{131072, 0});
static_assert(Default::next({65536, 1999}, true) == LossScale{32768, 0});
static_assert(Quick::next(Quick::next(Quick::start, false), true) == LossScale{512, 0});
static_assert(Default::next({0x1p127, 1999}, false) == LossScale{0x1p127, 0});  // 2^128 is no fp32
static_assert(Default::next({0x1p-20, 5}, true) == LossScale{0x1p-21, 0});

// ---------------------------------------------------------------- steps

TEST_CASE("DynamicLossScale: an overflow on one rank skips the step on all") {
  for (StreamMode stream : both_streams) {
    check_skips<RunOf<Replicate>>(3, 1, stream);
    check_skips<RunOf<FullShard>>(3, 0, stream);
  }
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

TEST_CASE("DynamicLossScale: FullShard has the bits of Replicate") {
  check_mixed<zoo::GptCase, 2, MixedPrecision<fp16, fp32>, Default>(
      {3}, both_streams[1], std::type_identity<FullShard>{});
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
