// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/strategies_test.cpp: the laws of strategies on a GPU that ranks share.
#include <doctest/doctest.h>

#include "agreement.hpp"
#include "support/cuda_double/double.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using zoo::GptCase;
using zoo::TiedGptCase;

TEST_CASE("GPU, law 2: every strategy gives the same bits, clipping included, for 1 to 5 ranks") {
  for (int ranks : {1, 2, 3, 5}) strategies_agree<TiedGptCase>(ranks, 2, 2);
}

TEST_CASE("GPU, law 2: with accumulation, in bf16 with fp32 masters") {
  using Bf16 = MixedPrecision<bf16, fp32>;
  const Setup setup{.ranks = 2, .each = 4, .steps = 2};
  const auto expected = train_on_gpu<RunOf<GptCase, Replicate, GradAccum<2>, Bf16>, GptCase>(setup);
  CHECK(all_same(expected, expected[0]));
  CHECK(all_same(train_on_gpu<RunOf<GptCase, FullShard, GradAccum<2>, Bf16>, GptCase>(setup),
                 expected[0]));
}

TEST_CASE(
    "GPU: parameters begin with the CPU's bits, and gradients are the model's, against fp64") {
  using Case = zoo::DroppingGptCase;  // each rank must drop what its own samples drop
  using Run = RunOf<Case, FullShard, GradAccum<3>>;
  const Setup setup{.ranks = 2, .each = 3};
  const auto cpu = train<Run, Case>(setup);
  const auto gpu = train_on_gpu<Run, Case>(setup);
  CHECK(same_bits(cpu[0].start, gpu[0].start));
  const Exact exact = ExactGradient<Case>(gpu[0].start).of(batch_of<Case>(setup, 0), setup.ranks);
  const Worst worst = worst_error(gpu[0].gradients, exact, 6 * Case::tokens, setup.ranks);
  CAPTURE(worst.name);
  CHECK(worst.ratio <= 1);
  CHECK(gpu[0].reports[0].weight == exact.weight);
  CHECK(gpu[0].reports[0].loss == doctest::Approx(exact.sum / exact.weight).epsilon(1e-5));
}

TEST_CASE("GPU, law 5: recorded collectives are the planned ones") {
  const Setup setup{.ranks = 1, .each = 4, .steps = 1};
  const auto check = [&]<class Run>() {
    const auto traces = train_on_gpu<Run, GptCase>(setup);
    CHECK(traces[0].calls == planned_calls<Run>());
  };
  check.template operator()<RunOf<GptCase, Replicate, GradAccum<2>>>();
  check.template operator()<RunOf<GptCase, FullShard, GradAccum<2>>>();
  const auto normed = train_on_gpu<RunOf<zoo::NormedCase, FullShard>, zoo::NormedCase>(setup);
  CHECK(normed[0].calls == planned_calls<RunOf<zoo::NormedCase, FullShard>>());
}

TEST_CASE("GPU: MixedPrecision<tf32> is fp32 but for the mode of its products") {
  using Run = RunOf<GptCase, Replicate, MixedPrecision<tf32>>;
  static_assert(std::is_same_v<Run::plan_type::compute, float>);
  on_gpu<Run>(1, options_of<Run, GptCase>({.each = 2}), [](auto& run, GpuWorld&) {
    cuda_double::record(true);
    const auto batch = batch_of<GptCase>({.each = 2}, 0);
    run.step(batch.x(), batch.y());
    int products = 0, rounded = 0;
    for (const auto& r : cuda_double::take_log()) {
      products += r.kind == cuda_double::Record::product;
      rounded += r.kind == cuda_double::Record::product && r.name.find("tf32") != std::string::npos;
    }
    cuda_double::reset();
    CHECK(products > 10);
    CHECK(rounded == products);
  });
}

TEST_CASE("GPU, law 7: delays of streams change no bit") {
  using Run = RunOf<TiedGptCase, FullShard>;
  const Setup setup{.ranks = 2, .each = 2, .steps = 2};
  const auto expected = train_on_gpu<Run, TiedGptCase>(setup);
  cuda_double::delay(nullptr, std::chrono::microseconds(20));
  const auto late = train_on_gpu<Run, TiedGptCase>(setup);
  cuda_double::reset();
  CHECK(all_same(late, expected[0]));
}

}  // namespace
