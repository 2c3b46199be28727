// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/trainer_test.cpp: policies in any order are one plan; the plan is a value before any run.
#include <cohort/trainer.hpp>

#include <doctest/doctest.h>

#include "run/support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::TiedGptCase;
using Model = Case::Model;

// ---------------------------------------------------------------- what is trainable

struct NotALayer {};
static_assert(Trainable<Model, nn::CrossEntropy>);
static_assert(!Trainable<NotALayer, nn::CrossEntropy>);
static_assert(!Trainable<Model, NotALayer>);
static_assert(!Trainable<Model, nn::CrossEntropy, int>);
static_assert(!Trainable<Model, nn::CrossEntropy, GradAccum<2>, GradAccum<3>>);
static_assert(!Trainable<Model, nn::CrossEntropy, optim::AdamW, optim::Sgd>);

// ---------------------------------------------------------------- law 4

using Forth = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, GradAccum<2>, ClipGradNorm,
                      Buckets<256, 1024>, Groups<ByRepeat>, optim::Sgd, optim::WarmupCosine>;
using Back = Trainer<Model, nn::CrossEntropy, optim::WarmupCosine, optim::Sgd, Groups<ByRepeat>,
                     Buckets<256, 1024>, ClipGradNorm, GradAccum<2>, DataParallel<Replicate>>;
using Shuffled = Trainer<Model, nn::CrossEntropy, Buckets<256, 1024>, optim::Sgd, GradAccum<2>,
                         optim::WarmupCosine, ClipGradNorm>;  // two defaults left out
static_assert(std::is_same_v<Forth::plan_type, Back::plan_type>);
static_assert(std::is_same_v<Forth::plan_type, Shuffled::plan_type>);
static_assert(std::is_same_v<Forth::execution<World>, Back::execution<World>>);
static_assert(std::is_same_v<Forth::options, Shuffled::options>);
static_assert(Forth::plan.hash() == Back::plan.hash());

using Plain = Trainer<Model, nn::CrossEntropy>;
using Defaults = Trainer<Model, nn::CrossEntropy, optim::AdamW, optim::ConstantRate, NoClip,
                         GradAccum<1>, Buckets<>, Groups<ByRepeat>, DataParallel<Replicate>>;
static_assert(std::is_same_v<Plain::plan_type, Defaults::plan_type>);
static_assert(!std::is_same_v<Plain::plan_type, Forth::plan_type>);

TEST_CASE("Trainer: the order of policies changes no bit") {
  const Setup setup{.ranks = 2, .each = 4, .steps = 3};
  const auto forth = train<Forth, Case>(setup), back = train<Back, Case>(setup);
  const auto shuffled = train<Shuffled, Case>(setup);
  CHECK_FALSE(same_bits(forth[0].start, forth[0].parameters));
  CHECK(all_same(back, forth[0]));
  CHECK(all_same(shuffled, forth[0]));
}

TEST_CASE("Trainer: another policy in any slot is another plan") {
  static_assert(Plain::plan.hash() != Trainer<Model, nn::CrossEntropy, GradAccum<2>>::plan.hash());
  static_assert(Plain::plan.hash() != Trainer<Model, nn::CrossEntropy, Buckets<1, 1>>::plan.hash());
  static_assert(Plain::plan.hash() != Trainer<Model, nn::CrossEntropy, optim::Sgd>::plan.hash());
  static_assert(Plain::plan.hash() != Trainer<zoo::Gpt, nn::CrossEntropy>::plan.hash());
}

// ---------------------------------------------------------------- the plan as a value

TEST_CASE("Trainer: bytes and collectives are constants, before any world exists") {
  constexpr Sizes sizes{.ranks = 4, .batch = 8, .tokens = 5};
  static_assert(Plain::plan.peak_bytes(sizes) < 2_MiB);
  static_assert(Plain::plan.peak_bytes(sizes) > 4 * Plain::plan_type::layout.size * sizeof(float));
  static_assert(Plain::plan.num_collectives() == 2);  // one bucket, the loss
  static_assert(Plain::plan.effective_batch(sizes) == 32);
  static_assert(Plain::plan.wire_bytes({.ranks = 1, .batch = 8}) == 0);
  constexpr std::size_t gradient = Plain::plan_type::layout.size * sizeof(float);
  static_assert(Plain::plan.wire_bytes(sizes) == 2 * (gradient * 3 / 4) + 2 * (16 * 3 / 4));
}

// ---------------------------------------------------------------- steps

TEST_CASE("Trainer: a model that can learn its batch does, and reports what it did") {
  using Run = Trainer<Model, nn::CrossEntropy, ClipGradNorm, optim::AdamW, optim::WarmupCosine>;
  typename Run::options options{};
  options.batch = 3;
  options.tokens = 5;
  options.learning_rate = 2e-2;
  options.schedule = {.warmup_steps = 5, .total_steps = 60, .min_learning_rate = 1e-3};
  std::vector<StepReport> reports;
  on_ranks<Run>(2, options, [&](auto& run, World& world) {
    const zoo::Batch<Case> batch(6);
    const int first = 3 * world.rank();
    for (int step = 0; step < 60; ++step) {
      const StepReport r = run.step(batch.x().samples(first, 3), batch.y().samples(first, 3));
      if (world.rank() == 0) reports.push_back(r);
    }
    CHECK(run.steps_done() == 60);
  });
  for (std::size_t i = 0; i < reports.size(); ++i) {
    CHECK(reports[i].step == static_cast<std::int64_t>(i) + 1);
    CHECK(reports[i].weight == 30);
    CHECK(reports[i].learning_rate ==
          optim::WarmupCosine::at(reports[i].step, options.learning_rate, options.schedule));
  }
  CHECK(reports.back().loss < 0.5 * reports.front().loss);
}

}  // namespace
