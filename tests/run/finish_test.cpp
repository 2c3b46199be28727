// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/finish_test.cpp: enqueue and wait are a step; a bad step leaves everything as it was.
#include <cohort/run/finish.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, ClipGradNorm>;
constexpr Run::options options{.seed = 3, .batch = 2, .learning_rate = 0.1};
constexpr float x[6] = {1, 2, 3, -1, 0.5f, 2}, y[4] = {1, 0, 0, 1};

auto parameters_after(int steps, bool queued) {
  std::vector<NamedTensor> out;
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    auto run = Run::on(world, options);
    const Tensor<const float, 3> rows{x, {2, 1}};
    const Tensor<const float, 2> targets{y, {2, 1}};
    for (int i = 0; i < steps; ++i) {
      if (queued)
        run.enqueue(rows, targets);
      else
        run.step(rows, targets);
    }
    if (queued) CHECK(run.wait().step == steps);
    CHECK(run.steps_done() == steps);
    out = run.gather_parameters();
  });
  return out;
}

TEST_CASE("Finish: steps that are queued and waited for once have the bits of steps one by one") {
  const auto one_by_one = parameters_after(5, false), queued = parameters_after(5, true);
  for (std::size_t i = 0; i < queued.size(); ++i) CHECK(queued[i].values == one_by_one[i].values);
}

TEST_CASE("Finish: a loss that is not finite ends the run before the update") {
  const auto fail = [](Threads& world) {
    auto run = Run::on(world, options);
    const auto before = run.gather_parameters();
    const float bad[4] = {std::numeric_limits<float>::infinity(), 0, 0, 1};
    const Tensor<const float, 3> rows{x, {2, 1}};
    CHECK_THROWS_AS(run.step(rows, Tensor<const float, 2>{bad, {2, 1}}), NonFinite);
    CHECK(run.steps_done() == 0);
    CHECK(run.storage().params()[0] == before[0].values[0]);
    CHECK_THROWS_AS(run.wait(), ContractBroken);  // this run is over
  };
  CHECK_THROWS_AS(launch<Threads>({.ranks = 1}, fail), NonFinite);  // and so is its world
}

}  // namespace
