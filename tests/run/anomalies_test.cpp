// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/anomalies_test.cpp: the first thing that is not finite is found, wherever it begins, and named alike
// on every rank.
#include <cohort/run/anomalies.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>

#include "../support/overflowing.hpp"
#include "poisoned.hpp"
#include "support.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace poisoned;

static_assert(std::is_empty_v<detail::Anomalies<PoisonedRun<Replicate>::plan_type, false>>);

namespace {

TEST_CASE("DetectAnomaly: a gradient of one rank, under every strategy, inline and on a worker") {
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    a_gradient<Replicate>(3, 2, stream);
    a_gradient<ShardOptimizer>(2, 1, stream);
    a_gradient<ShardGradients>(3, 1, stream);
    a_gradient<FullShard>(3, 0, stream);
    a_gradient<HybridShard<2>>(4, 3, stream);
  }
  a_gradient<FullShard>(1, 0, StreamMode::automatic);
}

TEST_CASE("DetectAnomaly: the loss is the true one though a gradient stops the step") {
  const Words words = fails<PoisonedRun<Replicate, DetectAnomaly>>(
      2, StreamMode::automatic, [](auto&, int rank, int&) {
        if (rank == 1) Poison::at = at(PoisonAt::gradient, 0, 0);
      });
  CHECK_MESSAGE(words.by_rank[0].find("step 3: loss 0.") != std::string::npos, words.by_rank[0]);
  CHECK(words.by_rank[0].find("gradient norm") == std::string::npos);
}

TEST_CASE("DetectAnomaly: the first micro-batch in which it appeared") {
  names_the_micro_batch<PoisonedRun<Replicate, DetectAnomaly, GradAccum<4>>>();
  names_the_micro_batch<PoisonedRun<FullShard, DetectAnomaly, GradAccum<4, ReduceEach>>>();
}

TEST_CASE("DetectAnomaly: where it began in forward and in backward") {
  using Run = PoisonedRun<FullShard, DetectAnomaly>;
  const auto says = [](const std::string& text, auto begin) {
    all_say(fails<Run>(2, {}, begin), text);
  };
  says("rank 1: the output of '1.0' has 1 NaN of 32 elements, the first at 9.",
       [](auto&, int rank, int&) {
         if (rank == 1) Poison::at = at(PoisonAt::output, 0, 9);
       });
  says("rank 0: the gradient that '1.2' passes back has 1 NaN of 32 elements, the first at 31.",
       [](auto&, int rank, int&) {
         if (rank == 0) Poison::at = at(PoisonAt::passed_back, 2, 31);
       });
  says("rank 1: the input has 1 infinity of 16 elements, the first (inf) at 7: check the data.",
       [](auto&, int rank, int& bad_input) {
         if (rank == 1) bad_input = 7;
       });
  says("rank 0: the output of '1.1' has 1 NaN of 32 elements, the first at 0; rank 1: the gradient",
       [](auto&, int rank, int&) {
         Poison::at = at(rank == 0 ? PoisonAt::output : PoisonAt::gradient, 1, 0);
       });
}

TEST_CASE("DetectAnomaly: a parameter that was no number before the step") {
  names_the_parameter<PoisonedRun<Replicate, DetectAnomaly>>(2);
  names_the_parameter<PoisonedRun<FullShard, DetectAnomaly>>(3);
  const auto too_large = [](auto& run, int, int&) {  // a finite master, an infinite fp16
    run.set_parameter("1.0.weight", std::vector<float>(8, 70000.0f));
    run.set_loss_scale({0x1p-24, 0});
  };
  all_say(
      fails<PoisonedRun<Replicate, DetectAnomaly, MixedPrecision<fp16, fp32>, DynamicLossScale<>>>(
          2, {}, too_large),
      "parameter '1.0.weight' had 8 infinities of 8 elements, the first (inf) at 0");
}

TEST_CASE("DetectAnomaly: an infinity that does no harm is no finding") {
  // The first unit passes on a gradient that nobody reads; its own and the loss are finite.
  launch<Threads>({.ranks = 2}, [](Threads& world) {
    using Run = Trainer<nn::Repeat<Poison::layers, Poison>, nn::MeanSquaredError<8>,
                        DataParallel<FullShard>, DetectAnomaly>;
    auto run = Run::on(world, {.seed = 1, .batch = 1});
    Poison::layer = 0;
    Poison::at = at(PoisonAt::passed_back, 0, 3);
    const float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8] = {};
    CHECK_NOTHROW(run.step(Tensor<const float, 8>{x, {1}}, Tensor<const float, 8>{y, {1}}));
    Poison::at = {};
  });
}

TEST_CASE(
    "DetectAnomaly: overflows that a loss scale skips are none; at the least scale they are") {
  using Case = zoo::Case<zoo::OddMlp, Overflowing>;
  using Run = Trainer<zoo::OddMlp, Overflowing, MixedPrecision<fp16, fp32>, DynamicLossScale<>,
                      DetectAnomaly>;
  std::atomic<int> skipped{0}, said{0};
  const auto act = [&](Threads& world) {
    Run::options options{};
    options.batch = 2;
    auto run = Run::on(world, options);
    const zoo::Batch<Case> batch(2);
    Overflowing::now = world.rank() == 1;
    skipped += run.step(batch.x(), batch.y()).skipped;
    run.set_loss_scale({0x1p-24, 0});
    try {
      run.step(batch.x(), batch.y());
    } catch (const NonFinite& e) {
      said += std::string(e.what()).find(
                  "rank 1: the gradient that the loss passes back has 1 infinity "
                  "of 6 elements, the first (inf) at 0.") != std::string::npos;
      Overflowing::now = false;
      throw;
    }
  };
  CHECK_THROWS_AS(launch<Threads>({.ranks = 2}, act), NonFinite);
  CHECK((skipped == 2 && said == 2));
}

TEST_CASE("Without DetectAnomaly the error names it") {
  const Words words = fails<PoisonedRun<Replicate, ClipGradNorm>>(2, {}, [](auto&, int rank, int&) {
    if (rank == 1) Poison::at = at(PoisonAt::gradient, 1, 6);
  });
  all_say(words, "gradient norm nan. DetectAnomaly in Trainer's list, on a CPU, names the rank");
}

}  // namespace
