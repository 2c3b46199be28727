// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/optim/adam_test.cpp: Adam against PyTorch's own sequence of steps.
#include <doctest/doctest.h>
#include <cohort/optim/adam.hpp>
#include <cohort/optim/adamw.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
static_assert(Policy<optim::Adam> && optim::Adam::moments == 2);
static_assert(std::is_same_v<optim::Adam::slot, optim::AdamW::slot>);
// torch.optim.Adam's defaults.
constexpr optim::Adam::Options defaults;
static_assert(defaults.beta1 == 0.9 && defaults.beta2 == 0.999 && defaults.epsilon == 1e-8);
static_assert(defaults.weight_decay == 0);

optim::Adam::Options options_of(const std::string& name) {
  return {.beta1 = pytorch().number(name + ".betas1"),
          .beta2 = pytorch().number(name + ".betas2"),
          .epsilon = pytorch().number(name + ".eps"),
          .weight_decay = pytorch().number(name + ".weight_decay")};
}
}  // namespace

// The bound of adamw_test.cpp. With decay the gradient is g + 0.01 p: where the two cancel, its
// rounding is relative to |p|, and Adam divides by its size; the golden gradients leave none smaller
// than a hundredth of their parts.
TEST_CASE_TEMPLATE("adam: PyTorch's five steps with changing learning rates", T, float, double) {
  for (const std::string name : {"adam", "adam_decay"}) {
    CAPTURE(name);
    const double amplified = name == "adam" ? 1 : 100;
    const double tolerance = 5 * unit<T> * (2 * (1 + largest_start(name)) + amplified * 40 * 0.01);
    CHECK(distance_to_pytorch<optim::Adam, T>(name, options_of(name)) <= tolerance);
    CHECK(distance_to_pytorch<optim::Adam, T>(name, options_of(name), 128) <= tolerance);
  }
}

TEST_CASE("adam: without decay it is AdamW without decay, bit for bit") {
  Flat<optim::Adam, float> a(64);
  Flat<optim::AdamW, float> b(64);
  for (int step = 1; step <= 4; ++step) {
    for (std::size_t i = 0; i < 64; ++i)
      a.grads.as<float>()[i] = b.grads.as<float>()[i] = static_cast<float>(i) - 20.5f * float(step);
    optim::Adam::update(DefaultCpu{}, a.shard(), {step, 0.01, 1}, {});
    optim::AdamW::update(DefaultCpu{}, b.shard(), {step, 0.01, 1}, {.weight_decay = 0});
  }
  CHECK(std::memcmp(a.params.as<float>(), b.params.as<float>(), 64 * sizeof(float)) == 0);
}

TEST_CASE("adam: decay passes through the moments, of marked chunks only") {
  Flat<optim::Adam, float> flat(128);
  for (std::size_t i = 0; i < 128; ++i) flat.params.as<float>()[i] = 2;
  flat.decays = {1, 0};
  optim::Adam::update(DefaultCpu{}, flat.shard(), {1, 0.5, 1}, {.weight_decay = 0.25});
  CHECK(flat.params.as<float>()[0] == doctest::Approx(1.5));  // gradient 0.5: a step of lr
  CHECK(flat.moments.as<float>()[0] == doctest::Approx(0.05));
  CHECK(flat.params.as<float>()[64] == 2);
}

TEST_CASE("adam: any split at whole chunks gives the same bits") {
  check_splits<optim::Adam>({.weight_decay = 0.1});
}
