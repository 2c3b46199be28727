// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/finish_test.cpp: enqueue and wait are a step; a bad step is as if it had not been.
#include <cohort/run/finish.hpp>

#include <doctest/doctest.h>

#include <atomic>
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

TEST_CASE("Finish: a loss that is not finite is thrown, and everything is as it was") {
  launch<Threads>({.ranks = 1}, [](Threads& world) {
    auto run = Run::on(world, options);
    const auto before = run.gather_parameters();
    const float bad[4] = {std::numeric_limits<float>::infinity(), 0, 0, 1};
    const Tensor<const float, 3> rows{x, {2, 1}};
    CHECK_THROWS_AS(run.step(rows, Tensor<const float, 2>{bad, {2, 1}}), NonFinite);
    CHECK(run.steps_done() == 0);
    CHECK(run.wait().step == 0);
    CHECK(same_bits(run.gather_parameters(), before));
    CHECK(run.step(rows, Tensor<const float, 2>{y, {2, 1}}).step == 1);
  });
}

using Deep = nn::Sequential<nn::Linear<3, 4>, nn::Repeat<2, nn::Linear<4, 4>>, nn::Linear<4, 2>>;
template <class... Ps> using DeepRun = Trainer<Deep, nn::MeanSquaredError<2>, Ps...>;

/// Five good steps; before the third, if asked for, one with a NaN in the last rank's rows. Counts what
/// was caught.
template <class Run>
std::vector<Trace> five_steps(int ranks, StreamMode stream, bool bad, std::atomic<int>& caught) {
  std::vector<Trace> traces(static_cast<std::size_t>(ranks));
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    auto run = Run::on(world, {.seed = 3, .batch = 2, .learning_rate = 0.1, .stream = stream});
    Trace& trace = traces[static_cast<std::size_t>(world.rank())];
    const float scale = 1.0f / static_cast<float>(1 + world.rank());
    for (int step = 0; step < 5; ++step) {
      std::vector<float> rows(6, scale * static_cast<float>(step)), targets(4, scale);
      if (step == 2 && bad) {
        std::vector<float> wrong = rows;
        if (world.rank() == ranks - 1) wrong[1] = std::numeric_limits<float>::quiet_NaN();
        try {
          run.step({wrong.data(), {2, 1}}, {targets.data(), {2, 1}});
        } catch (const NonFinite&) {
          ++caught;
        }
      }
      trace.reports.push_back(run.step({rows.data(), {2, 1}}, {targets.data(), {2, 1}}));
    }
    trace.parameters = run.gather_parameters();
    trace.gradients = run.gather_gradients();
  });
  return traces;
}

template <class Run> void check_as_if_never() {
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    for (int ranks : {1, 3}) {
      CAPTURE(ranks);
      std::atomic<int> caught{0};
      const auto expected = five_steps<Run>(ranks, stream, false, caught);
      CHECK(caught == 0);
      const auto traces = five_steps<Run>(ranks, stream, true, caught);
      CHECK(caught == ranks);
      CHECK(all_same(traces, expected[0]));
    }
  }
}

TEST_CASE(
    "Finish: after a loss that is no number a run goes on as if there had been no such step") {
  SUBCASE("Replicate") { check_as_if_never<DeepRun<optim::AdamW>>(); }
  SUBCASE("two micro-batches, clipped") {
    check_as_if_never<DeepRun<GradAccum<2>, ClipGradNorm>>();
  }
  SUBCASE("ShardOptimizer") { check_as_if_never<DeepRun<DataParallel<ShardOptimizer>>>(); }
  SUBCASE("FullShard") {
    check_as_if_never<DeepRun<DataParallel<FullShard>, GradAccum<2>, ClipGradNorm>>();
  }
}

TEST_CASE("Finish: groups of a world meet NaN apart; nobody else hears of it") {
  std::atomic<int> caught{0}, trained{0};
  launch<Threads>({.ranks = 5}, [&](Threads& world) {
    Threads group = world.split(world.rank() % 2, world.rank());
    double steps = 0;
    {
      auto run = DeepRun<>::on(group, {.seed = 3, .batch = 1, .learning_rate = 0.1});
      const float number = world.rank() == 3 ? std::numeric_limits<float>::quiet_NaN() : 0.5f;
      const float rows[3] = {number, 0, 1}, targets[2] = {};
      try {
        for (int step = 0; step < 4; ++step)
          steps = static_cast<double>(run.step({rows, {1, 1}}, {targets, {1, 1}}).step);
        ++trained;
      } catch (const NonFinite&) {
        ++caught;
      }
    }
    std::vector<double> all(5);
    world.all_gather(&steps, all.data(), 1);
    CHECK(all == std::vector<double>{4, 0, 4, 0, 4});
  });
  CHECK(caught == 2);
  CHECK(trained == 3);
}

TEST_CASE("Finish: a loss that is no number and that nobody catches is what launch throws") {
  const auto act = [](Threads& world) {
    auto run = DeepRun<>::on(world, {.batch = 1});
    const float rows[3] = {std::numeric_limits<float>::infinity(), 0, 1}, targets[2] = {};
    run.step({rows, {1, 1}}, {targets, {1, 1}});
  };
  CHECK_THROWS_AS(launch<Threads>({.ranks = 3}, act), NonFinite);
}

}  // namespace
