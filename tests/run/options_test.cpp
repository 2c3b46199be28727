// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/options_test.cpp: each policy brings its own options, and only they can be set.
#include <cohort/run/options.hpp>

#include <doctest/doctest.h>

#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/optim/sgd.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

namespace {

using Model = nn::Sequential<nn::Linear<2, 2>>;
template <class... Ps>
using OptionsOf = typename Trainer<Model, nn::MeanSquaredError<2>, Ps...>::options;

template <class O>
concept HasBetas = requires(O o) {
  o.optimizer.beta2 = 0.5;
};
template <class O>
concept HasMomentum = requires(O o) {
  o.optimizer.momentum = 0.5;
};
template <class O>
concept HasMaximum = requires(O o) {
  o.clip.max_norm = 1;
};
template <class O>
concept HasSchedule = requires(O o) {
  o.schedule.total_steps = 1;
};

static_assert(HasBetas<OptionsOf<>> && !HasMomentum<OptionsOf<>>);  // AdamW is the default
static_assert(HasMomentum<OptionsOf<optim::Sgd>> && !HasBetas<OptionsOf<optim::Sgd>>);
static_assert(HasMaximum<OptionsOf<ClipGradNorm>> && !HasMaximum<OptionsOf<>>);
static_assert(HasSchedule<OptionsOf<optim::WarmupCosine>> && !HasSchedule<OptionsOf<>>);
static_assert(
    std::is_same_v<OptionsOf<ClipGradNorm, optim::Sgd>, OptionsOf<optim::Sgd, ClipGradNorm>>);

TEST_CASE("Options: members can be named in one initialiser; the rest keeps its default") {
  const OptionsOf<ClipGradNorm, optim::WarmupCosine> options{.seed = 1337,
                                                             .batch = 12,
                                                             .tokens = 64,
                                                             .learning_rate = 1e-4,
                                                             .optimizer = {.beta2 = 0.99},
                                                             .schedule = {.warmup_steps = 100},
                                                             .clip = {.max_norm = 0.5}};
  CHECK(options.optimizer.beta1 == 0.9);  // torch.optim.AdamW's
  CHECK(options.optimizer.beta2 == 0.99);
  CHECK(options.optimizer.epsilon == 1e-8);
  CHECK(options.optimizer.weight_decay == 0.01);
  CHECK(options.clip.max_norm == 0.5);
  CHECK(options.stream == StreamMode::automatic);
  const OptionsOf<ClipGradNorm> defaults{};
  CHECK(defaults.learning_rate == 1e-3);
  CHECK(defaults.tokens == 1);
  CHECK(defaults.batch == 0);  // no default: Run::on asks for it
  CHECK(defaults.clip.max_norm == 1);
}

TEST_CASE("StepReport: nothing has been clipped before a step") {
  const StepReport report;
  CHECK(report.step == 0);
  CHECK(report.clip_coefficient == 1);
  CHECK(report.grad_norm == 0);
}

}  // namespace
