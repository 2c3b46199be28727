// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/optim/adamw_test.cpp: AdamW against PyTorch's own sequence of steps.
#include <doctest/doctest.h>
#include <cohort/optim/adamw.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
static_assert(Policy<optim::AdamW> && optim::AdamW::moments == 2);
// torch.optim.AdamW's defaults.
constexpr optim::AdamW::Options defaults;
static_assert(defaults.beta1 == 0.9 && defaults.beta2 == 0.999 && defaults.epsilon == 1e-8);
static_assert(defaults.weight_decay == 0.01);

optim::AdamW::Options options_of(const std::string& name) {
  return {.beta1 = pytorch().number(name + ".betas1"),
          .beta2 = pytorch().number(name + ".betas2"),
          .epsilon = pytorch().number(name + ".eps"),
          .weight_decay = pytorch().number(name + ".weight_decay")};
}
}  // namespace

// Each of five steps rounds the parameter (p - lr wd p, then p - update: 3 units of |p|) and the
// update: |m / sqrt(v)| stays below 3, the moments' errors below 10 units of their largest gradient,
// which sqrt(v) holds to at least 1/3: 40 units of lr (at most 0.01).
TEST_CASE_TEMPLATE("adamw: PyTorch's five steps with changing learning rates", T, float, double) {
  for (const std::string name : {"adamw", "adamw_no_decay", "adamw_large_eps"}) {
    CAPTURE(name);
    const double tolerance = 5 * unit<T> * (3 * (1 + largest_start(name)) + 40 * 0.01);
    CHECK(distance_to_pytorch<optim::AdamW, T>(name, options_of(name)) <= tolerance);
    // A gradient 2^7 times as large, undone by grad_scale: the same, powers of two are exact.
    CHECK(distance_to_pytorch<optim::AdamW, T>(name, options_of(name), 128) <= tolerance);
  }
}

TEST_CASE("adamw: decay touches marked chunks only, and is decoupled from the gradient") {
  Flat<optim::AdamW, float> flat(128);
  for (std::size_t i = 0; i < 128; ++i) flat.params.as<float>()[i] = 2;
  flat.decays = {1, 0};
  optim::AdamW::update(DefaultCpu{}, flat.shard(), {1, 0.5, 1}, {.weight_decay = 0.25});
  CHECK(flat.params.as<float>()[63] == 2 * (1 - 0.5f * 0.25f));  // gradient 0: nothing but decay
  CHECK(flat.params.as<float>()[64] == 2);
  CHECK(flat.moments.as<float>()[0] == 0);
}

// The first step is -lr g / (|g| + eps) whatever the gradient's size (Kingma and Ba, section 2.1).
TEST_CASE("adamw: the first step has the size of the learning rate") {
  Flat<optim::AdamW, double> flat(64);
  flat.grads.as<double>()[0] = 1e3;
  flat.grads.as<double>()[1] = -1e-3;
  optim::AdamW::update(DefaultCpu{}, flat.shard(), {1, 0.5, 1}, {});
  CHECK(flat.params.as<double>()[0] == doctest::Approx(-0.5).epsilon(1e-10));
  CHECK(flat.params.as<double>()[1] == doctest::Approx(0.5 / (1 + 1e-5)).epsilon(1e-10));
}

TEST_CASE("adamw: any split at whole chunks gives the same bits") {
  check_splits<optim::AdamW>({.weight_decay = 0.1});
}
