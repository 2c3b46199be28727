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
#include "poison.hpp"
#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(std::is_empty_v<detail::Anomalies<PoisonedRun<Replicate>::plan_type, false>>);

namespace {

struct Words {
  std::vector<std::string> by_rank;  // what each rank's step threw
  std::vector<bool> non_finite;
  double seconds = 0;
};
/// Two good steps and one for which begin(run, rank) has done something.
template <class Run, class F> Words fails(int ranks, StreamMode stream, F begin) {
  Words words{std::vector<std::string>(static_cast<std::size_t>(ranks)),
              std::vector<bool>(static_cast<std::size_t>(ranks)), 0};
  std::vector<char> typed(static_cast<std::size_t>(ranks));
  const auto start = std::chrono::steady_clock::now();
  try {
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      Poison::at = {};
      const auto me = static_cast<std::size_t>(world.rank());
      auto run = Run::on(world, poisoned_options<Run>(stream));
      poisoned_step(run);
      poisoned_step(run);
      int bad_input = -1;
      begin(run, world.rank(), bad_input);
      const auto before = run.gather_parameters();
      try {
        poisoned_step(run, bad_input);
      } catch (const NonFinite& e) {
        typed[me] = 1;
        words.by_rank[me] = e.what();
        Poison::at = {};
        throw;
      } catch (const PeerFailed& e) {  // a rank that was faster has ended the world: its words
        words.by_rank[me] = e.what();
        Poison::at = {};
        throw;
      }
      Poison::at = {};
    });
  } catch (const NonFinite&) {
  }
  words.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (std::size_t r = 0; r < typed.size(); ++r) words.non_finite[r] = typed[r] != 0;
  return words;
}
/// All ranks threw NonFinite and said this; the words after "rank R: " are the same.
void all_say(const Words& words, const std::string& text) {
  const auto tail = [&](std::size_t r) {
    const std::string& w = words.by_rank[r];
    return w.substr(std::min(w.size(), w.find("step ")));
  };
  for (std::size_t r = 0; r < words.by_rank.size(); ++r) {
    CHECK_MESSAGE(words.non_finite[r], words.by_rank[r]);
    CHECK_MESSAGE(words.by_rank[r].find(text) != std::string::npos, words.by_rank[r]);
    CHECK(tail(r) == tail(0));
  }
  CHECK(words.seconds < 20);
}
Poison::At at(PoisonAt::Where where, int unit, std::size_t element, int micro_batch = 0) {
  return {.where = where, .unit = unit, .micro_batch = micro_batch, .element = element};
}

template <class How, class... More> void a_gradient(int ranks, int bad, StreamMode stream) {
  CAPTURE(ranks);
  all_say(fails<PoisonedRun<How, DetectAnomaly, More...>>(ranks, stream,
                                                          [&](auto&, int rank, int&) {
                                                            if (rank == bad)
                                                              Poison::at =
                                                                  at(PoisonAt::gradient, 1, 6);
                                                            if (rank == bad) Poison::at.count = 2;
                                                          }),
          "rank " + std::to_string(bad) +
              ": the gradient of '1.1.weight' has 2 NaN of 8 elements, the first at 6. Parameters");
}

TEST_CASE("DetectAnomaly: a gradient of one rank, under every strategy, inline and on a worker") {
  for (StreamMode stream : {StreamMode::on_compute_thread, StreamMode::worker}) {
    a_gradient<Replicate>(3, 2, stream);
    a_gradient<Replicate, ClipGradNorm>(2, 0, stream);
    a_gradient<ShardOptimizer>(2, 1, stream);
    a_gradient<ShardGradients>(3, 1, stream);
    a_gradient<FullShard>(3, 0, stream);
    a_gradient<FullShardKeepForward, ClipGradNorm>(2, 1, stream);
    a_gradient<HybridShard<2>>(4, 3, stream);
  }
  a_gradient<FullShard>(1, 0, StreamMode::automatic);
  a_gradient<FullShard, MixedPrecision<bf16, fp32>>(2, 1, StreamMode::automatic);
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
  const auto begin = [](auto&, int rank, int&) {
    if (rank == 1) Poison::at = at(PoisonAt::gradient, 2, 3, 1);
  };
  const std::string text =
      "rank 1, micro-batch 1: the gradient of '1.2.weight' has 1 NaN of 8 elements, the first at "
      "3.";
  all_say(fails<PoisonedRun<Replicate, DetectAnomaly, GradAccum<4>>>(2, {}, begin), text);
  all_say(fails<PoisonedRun<FullShard, DetectAnomaly, GradAccum<4>>>(2, {}, begin), text);
  all_say(fails<PoisonedRun<FullShard, DetectAnomaly, GradAccum<4, ReduceEach>>>(2, {}, begin),
          text);
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
  const auto begin = [](auto& run, int, int&) {
    std::vector<float> values(8, 1.0f);
    values[5] = std::nanf("");
    run.set_parameter("1.1.weight", values);
  };
  const std::string text =
      "parameter '1.1.weight' had 1 NaN of 8 elements, the first at 5 before the step: look at "
      "what "
      "wrote it";
  all_say(fails<PoisonedRun<Replicate, DetectAnomaly>>(2, {}, begin), text);
  all_say(fails<PoisonedRun<FullShard, DetectAnomaly>>(3, {}, begin), text);
  all_say(
      fails<PoisonedRun<ShardOptimizer, DetectAnomaly, MixedPrecision<bf16, fp32>>>(2, {}, begin),
      text);
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
