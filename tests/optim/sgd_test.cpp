// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/optim/sgd_test.cpp: SGD against PyTorch's own sequence of steps.
#include <doctest/doctest.h>
#include <cohort/optim/sgd.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
static_assert(Policy<optim::Sgd> && Policy<optim::NesterovSgd> && optim::Sgd::moments == 1);
static_assert(!std::is_same_v<optim::Sgd, optim::NesterovSgd>);
constexpr optim::Sgd::Options defaults;  // torch.optim.SGD's
static_assert(defaults.momentum == 0 && defaults.weight_decay == 0);

template <class O, class T> void compare(const std::string& name) {
  CAPTURE(name);
  const typename O::Options options{.momentum = note_or(name + ".momentum", 0),
                                    .weight_decay = note_or(name + ".weight_decay", 0)};
  double gradient = 0;
  for (double g : pytorch().values(name + ".in.grads")) gradient = std::max(gradient, std::abs(g));
  // Five steps: 2 units of |p| each, and of lr times a buffer of at most (1 + .. + 0.9^4) gradients,
  // about 4.1, whose sum carries 3 units a step; Nesterov adds 0.9 of it once more.
  const double buffer = 8 * (gradient + 0.01 * (1 + largest_start(name)));
  const double tolerance = 5 * unit<T> * (2 * (1 + largest_start(name)) + 3 * 5 * 0.01 * buffer);
  CHECK(distance_to_pytorch<O, T>(name, options) <= tolerance);
  CHECK(distance_to_pytorch<O, T>(name, options, 128) <= tolerance);
}
}  // namespace

TEST_CASE_TEMPLATE("sgd: PyTorch's five steps, with and without momentum and decay", T, float,
                   double) {
  for (const char* name : {"sgd", "sgd_decay", "sgd_momentum", "sgd_momentum_decay"})
    compare<optim::Sgd, T>(name);
  for (const char* name : {"sgd_nesterov", "sgd_nesterov_decay"})
    compare<optim::NesterovSgd, T>(name);
}

// Gradient 1, momentum 0.5, learning rate 1: buffers 1, 1.5, 1.75.
TEST_CASE("sgd: momentum by hand") {
  Flat<optim::Sgd, float> flat(64);
  const float expected[] = {-1, -2.5f, -4.25f};
  for (int step = 1; step <= 3; ++step) {
    flat.grads.as<float>()[0] = 1;
    optim::Sgd::update(DefaultCpu{}, flat.shard(), {step, 1, 1}, {.momentum = 0.5});
    CHECK(flat.params.as<float>()[0] == expected[step - 1]);
  }
}

// Nesterov: directions 1 + 0.5 x 1 = 1.5, then 1 + 0.5 x 1.5 = 1.75.
TEST_CASE("sgd: Nesterov by hand") {
  Flat<optim::NesterovSgd, float> flat(64);
  const float expected[] = {-1.5f, -3.25f};
  for (int step = 1; step <= 2; ++step) {
    flat.grads.as<float>()[0] = 1;
    optim::NesterovSgd::update(DefaultCpu{}, flat.shard(), {step, 1, 1}, {.momentum = 0.5});
    CHECK(flat.params.as<float>()[0] == expected[step - 1]);
  }
}

TEST_CASE("sgd: decay touches marked chunks only") {
  Flat<optim::Sgd, float> flat(128);
  for (std::size_t i = 0; i < 128; ++i) flat.params.as<float>()[i] = 2;
  flat.decays = {0, 1};
  optim::Sgd::update(DefaultCpu{}, flat.shard(), {1, 0.5, 1}, {.weight_decay = 0.25});
  CHECK(flat.params.as<float>()[63] == 2);
  CHECK(flat.params.as<float>()[64] == 2 - 0.5f * 0.25f * 2);
}

TEST_CASE("sgd: any split at whole chunks gives the same bits") {
  check_splits<optim::Sgd>({.momentum = 0.9, .weight_decay = 0.1});
  check_splits<optim::NesterovSgd>({.momentum = 0.9});
}
