// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/stochastic_rounding_test.cpp: updates survive on average; bits are those of every strategy.
#include <cohort/policies/stochastic_rounding.hpp>

#include <doctest/doctest.h>

#include "mixed.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Bare = MixedPrecision<bf16, bf16>;

template <class How> using RunOf = MixedRun<zoo::OddMlpCase, How, 1, Bare, StochasticRounding>;

TEST_CASE("StochasticRounding: FullShard has the bits of Replicate") {
  check_mixed<zoo::OddMlpCase, 1, Bare, StochasticRounding>({1, 3}, both_streams[1],
                                                            std::type_identity<FullShard>{});
}
TEST_CASE("StochasticRounding: the heap of a run is the planned peak, to the byte") {
  check_heap<RunOf<FullShard>, zoo::OddMlpCase>(3);
  check_steps_allocate_nothing<RunOf<FullShard>, zoo::OddMlpCase>(2);
}

TEST_CASE("StochasticRounding: another seed rounds otherwise, the same seed alike") {
  using Run = RunOf<Replicate>;
  const auto trained = [](std::uint64_t seed) {
    std::vector<NamedTensor> parameters;
    launch<Threads>({.ranks = 1}, [&](Threads& world) {
      auto options = options_of<Run, zoo::OddMlpCase>({});
      auto run = Run::on(world, options);
      const auto start = run.gather_parameters();
      options.seed = seed;
      auto other = Run::on(world, options);
      for (const NamedTensor& t : start) other.set_parameter(t.name, t.values);
      const auto batch = batch_of<zoo::OddMlpCase>({}, 0);
      for (int step = 0; step < 3; ++step) other.step(batch.x(), batch.y());
      parameters = other.gather_parameters();
    });
    return parameters;
  };
  CHECK(same_bits(trained(1), trained(1)));
  CHECK_FALSE(same_bits(trained(1), trained(2)));
}

TEST_CASE(
    "StochasticRounding: the mean of many parameters follows fp32, whose steps bf16 cannot take") {
  // n weights at 2, gradient 2 (w - 1) = 2 each, lr 1e-4: 2e-4 a step where bf16 has steps of 2^-7 = 7.8e-3.
  constexpr int n = 4096, steps = 50;
  using Model = nn::Linear<1, n, nn::NoBias>;
  using Run = Trainer<Model, nn::MeanSquaredError<n>, Bare, StochasticRounding, optim::Sgd>;
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    auto run = Run::on(world, {.seed = 5, .batch = 1, .learning_rate = 1e-4 * n});  // a mean over n
    const std::vector<float> twos(n, 2), ones(n, 1);
    run.set_parameter("weight", twos);
    const float x = 1;
    for (int step = 0; step < steps; ++step) run.step({&x, {1}}, {ones.data(), {1}});
    double mean = 0;
    const auto parameters = run.gather_parameters();
    for (float w : parameters[0].values) {
      mean += w / n;
      CHECK(float(bf16(w)) == w);
    }
    double expected = 2;
    for (int step = 0; step < steps; ++step) expected -= 1e-4 * 2 * (expected - 1);
    // A walk of `steps` steps of 2^-7 with probability p: deviation 2^-7 sqrt(steps p (1 - p) / n).
    const double p = 2e-4 * 128, deviation = std::sqrt(steps * p * (1 - p) / n) / 128;
    CHECK(std::abs(mean - expected) < 5 * deviation);
    CHECK(std::abs(mean - 2) > 20 * deviation);
  });
}

}  // namespace
