// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/optim/warmup_cosine_test.cpp: learning rates against nanoGPT's get_lr and values by hand.
#include <doctest/doctest.h>
#include <cohort/optim/warmup_cosine.hpp>

#include <cmath>
#include <initializer_list>
#include <string>

using namespace cohort;
using optim::WarmupCosine;

namespace {
static_assert(Policy<WarmupCosine> && Policy<optim::ConstantRate>);
static_assert(std::is_same_v<WarmupCosine::slot, optim::ConstantRate::slot>);

/// nanoGPT's rule, in its words: linear warm-up over warmup_iters from lr / (warmup_iters + 1), cosine
/// to min_lr at lr_decay_iters, min_lr after it; iterations count from 0.
double nano_gpt(int it, double lr, int warmup, int decay, double low) {
  if (it < warmup) return lr * (it + 1) / (warmup + 1);
  if (it > decay) return low;
  const double ratio = double(it - warmup) / (decay - warmup);
  return low + 0.5 * (1 + std::cos(std::acos(-1.0) * ratio)) * (lr - low);
}
const WarmupCosine::Options setting{
    .warmup_steps = 100, .total_steps = 2000, .min_learning_rate = 1e-4};
doctest::Approx near(double v) { return doctest::Approx(v).epsilon(1e-13); }
}  // namespace

// Warm-up 4, total 12, 1 -> 0.2: cosine at shares 0, 1/8 .. 1; cos(pi/4) = 0.70710678...
TEST_CASE("warmup_cosine: values by hand") {
  const WarmupCosine::Options o{.warmup_steps = 4, .total_steps = 12, .min_learning_rate = 0.2};
  const auto at = [&](int step) { return WarmupCosine::at(step, 1.0, o); };
  CHECK(at(1) == near(0.2));
  CHECK(at(2) == near(0.4));
  CHECK(at(4) == near(0.8));
  CHECK(at(5) == near(1.0));  // the step after the warm-up has the full rate
  CHECK(at(7) == near(0.2 + 0.4 * (1 + std::sqrt(0.5))));
  CHECK(at(9) == near(0.6));
  CHECK(at(11) == near(0.2 + 0.4 * (1 - std::sqrt(0.5))));
  CHECK(at(13) == near(0.2));
  CHECK(at(1000000) == near(0.2));
}

TEST_CASE("warmup_cosine: without a number of steps it is no schedule, and says so") {
  CHECK(WarmupCosine::refusal(setting) == nullptr);
  for (const WarmupCosine::Options& o :
       {WarmupCosine::Options{}, WarmupCosine::Options{.warmup_steps = 10},
        WarmupCosine::Options{.total_steps = -1}})
    CHECK(std::string(WarmupCosine::refusal(o)).find(".total_steps = 2000}") != std::string::npos);
}

TEST_CASE("warmup_cosine: nanoGPT's schedule at its published CPU setting, every step") {
  for (int step = 1; step <= 2100; ++step) {
    const double ours = WarmupCosine::at(step, 1e-3, setting);
    REQUIRE(ours == near(nano_gpt(step - 1, 1e-3, 100, 2000, 1e-4)));
  }
}

TEST_CASE("warmup_cosine: it rises, then falls, and stays between its ends") {
  for (int step = 2; step <= 2005; ++step) {
    const double before = WarmupCosine::at(step - 1, 1e-3, setting);
    const double now = WarmupCosine::at(step, 1e-3, setting);
    CHECK((step <= 101 ? now > before : now <= before));
    CHECK(now <= 1e-3);
    CHECK(now > 0);
  }
}

TEST_CASE("warmup_cosine: a ratio is a share of the total, and steps win over it") {
  const WarmupCosine::Options ratio{
      .total_steps = 2000, .warmup_ratio = 0.05, .min_learning_rate = 1e-4};
  WarmupCosine::Options both = ratio;
  both.warmup_steps = 7;
  for (int step : {1, 50, 100, 101, 500}) {
    CHECK(WarmupCosine::at(step, 1e-3, ratio) == WarmupCosine::at(step, 1e-3, setting));
    CHECK(WarmupCosine::at(step, 1e-3, both) == near(nano_gpt(step - 1, 1e-3, 7, 2000, 1e-4)));
  }
}

TEST_CASE("warmup_cosine: without warm-up the first step has the full rate") {
  CHECK(WarmupCosine::at(1, 3e-4, {.total_steps = 10}) == 3e-4);
  CHECK(WarmupCosine::at(11, 3e-4, {.total_steps = 10}) == 0);
}

TEST_CASE("warmup_cosine: a warm-up as long as the whole run never divides by zero") {
  const WarmupCosine::Options o{.warmup_steps = 5, .total_steps = 5, .min_learning_rate = 0.1};
  for (int step = 1; step <= 8; ++step) CHECK(std::isfinite(WarmupCosine::at(step, 1.0, o)));
  CHECK(WarmupCosine::at(6, 1.0, o) == 0.1);
}

TEST_CASE("constant rate: the learning rate at every step") {
  for (int step : {1, 7, 1000000}) CHECK(optim::ConstantRate::at(step, 0.25, {}) == 0.25);
}
