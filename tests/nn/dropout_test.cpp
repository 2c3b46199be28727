// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/dropout_test.cpp: the same elements are dropped under every strategy, world and cut, and again in backward.
#include <cohort/nn/dropout.hpp>

#include <doctest/doctest.h>

#include <cohort/data/sampler.hpp>
#include <cohort/nn/checkpointed.hpp>
#include <numeric>

#include "run/support.hpp"
#include "support.hpp"
#include "support/models.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Half = std::ratio<1, 2>;
template <class L, class T = float> using Of = zoo::OneLayer<L, T>;
using Block = zoo::DroppingBlock<6>;
static_assert(Layer<nn::Dropout<4>> && AddsForward<nn::Dropout<4>> && SkipsForward<nn::Dropout<4>>);
static_assert(nn::Dropout<4, std::ratio<2, 20>>::rate.below == nn::Dropout<4>::rate.below);
static_assert(Layer<nn::Dropout<4, std::ratio<0>>> && Layer<Block> &&
              Layer<nn::Checkpointed<Block>>);

// No mask, no counters: y is all that a step keeps.
constexpr Rows six{2, 3};
static_assert(Of<nn::Dropout<8>>::planned(six).activations == Tensor<float, 8>::bytes(six));
static_assert(Of<nn::Dropout<8>>::planned(six).backward == Tensor<float, 8>::bytes(six));
static_assert(Of<nn::Dropout<8>>::planned(six).scratch == 0);
}  // namespace

TEST_CASE_TEMPLATE("dropout: backward drops what forward dropped; evaluation drops nothing", T,
                   float, double, bf16, fp16) {
  Of<nn::Dropout<31, Half>, T> one(six);
  const std::vector<T> ones(6 * 31, T(1.0f));
  one.run(ones, ones);
  int dropped = 0;
  for (std::size_t i = 0; i < one.y.size(); ++i) {
    CHECK((value(one.y[i]) == 0 || value(one.y[i]) == 2));
    CHECK(value(one.dx[i]) == value(one.y[i]));
    dropped += value(one.y[i]) == 0;
  }
  CHECK((dropped > 50 && dropped < 6 * 31 - 50));  // 93, deviation 6.8
  CHECK(as<double>(one.evaluate(ones)) == as<double>(ones));
  const auto before = one.y;
  one.run(ones, ones);
  CHECK(as<double>(one.y) == as<double>(before));
  ++one.steps;
  one.run(ones, ones);
  CHECK(as<double>(one.y) != as<double>(before));
  --one.steps, ++one.seed_of_draws;
  one.run(ones, ones);
  CHECK(as<double>(one.y) != as<double>(before));
}

TEST_CASE("dropout: two of them in a model drop different elements") {
  Of<nn::Sequential<nn::Dropout<40, Half>, nn::Dropout<40, Half>>> two(six);
  Of<nn::Dropout<40, Half>> one(six);
  const std::vector<float> ones(6 * 40, 1.0f);
  one.run(ones, ones);
  two.run(ones, ones);
  int both = 0;
  for (std::size_t i = 0; i < ones.size(); ++i) {
    if (one.y[i] == 0) CHECK(two.y[i] == 0);
    both += two.y[i] != 0;
    CHECK((two.y[i] == 0 || two.y[i] == 4));
    CHECK(two.dx[i] == two.y[i]);
  }
  CHECK((both > 60 - 34 && both < 60 + 34));  // a quarter of 240: five deviations of 6.7
}

TEST_CASE_TEMPLATE("dropout: at the end of a Residual, the bits of the sum after it", T, bf16,
                   fp16) {
  using Inner = nn::Sequential<nn::Linear<6, 6>, nn::Dropout<6, Half>>;
  Of<nn::Residual<Inner>, T> fused(six);
  Of<Inner, T> inner(six);
  fused.draw(3);
  inner.draw(3);
  const auto x = zoo::normals<T>(6 * 6, 1), dy = zoo::normals<T>(6 * 6, 2);
  fused.run(x, dy);
  inner.run(x, dy);
  for (std::size_t i = 0; i < x.size(); ++i)
    CHECK(value(fused.y[i]) == value(T(float(x[i]) + float(inner.y[i]))));
  const auto evaluated = fused.evaluate(x), alone = inner.evaluate(x);
  for (std::size_t i = 0; i < x.size(); ++i)
    CHECK(value(evaluated[i]) == value(T(float(x[i]) + float(alone[i]))));
}

TEST_CASE("dropout: finite differences, of what is dropped and what is not") {
  CHECK(check_gradients<nn::Dropout<5>>().ok());
  CHECK(
      check_gradients<nn::Residual<nn::Sequential<nn::Linear<4, 4>, nn::Dropout<4, Half>>>>().ok());
  CHECK(check_gradients<Block>().ok());
  CHECK(check_gradients<nn::Checkpointed<Block>>().ok());
}

TEST_CASE_TEMPLATE("dropout: inside Checkpointed the same elements are dropped again", T, float,
                   bf16) {
  const auto check = [&]<class L>(std::type_identity<L>) {
    Of<L, T> kept(six);
    Of<nn::Checkpointed<L>, T> again(six);
    kept.draw(3);
    again.draw(3);
    const auto x = zoo::normals<T>(6 * 6, 1), dy = zoo::normals<T>(6 * 6, 2);
    kept.run(x, dy);
    again.run(x, dy);
    CHECK(as<double>(again.y) == as<double>(kept.y));
    CHECK(as<double>(again.dx) == as<double>(kept.dx));
    for (const auto& name : parameter_names<L>())
      CHECK(again.gradient(name) == kept.gradient(name));
  };
  check(std::type_identity<nn::Sequential<Block, Block>>{});
  check(std::type_identity<
        nn::Sequential<nn::Dropout<6>, nn::Checkpointed<Block>, nn::Dropout<6>>>{});
  check(std::type_identity<nn::Sequential<nn::Checkpointed<nn::Dropout<6>>, nn::Linear<6, 6>>>{});
}

// ---------------------------------------------------------------- in a model

namespace {
using Case = zoo::DroppingGptCase;
template <class... Policies>
using RunOf = Trainer<Case::Model, Case::Loss, ClipGradNorm, Policies...>;

template <class... Policies> void check_gradient(int ranks) {
  CAPTURE(ranks);
  const test::Setup setup{.ranks = ranks, .each = 4};
  const auto trace = test::train<RunOf<Policies...>, Case>(setup)[0];
  const auto batch = test::batch_of<Case>(setup, 0);
  test::ExactGradient<Case> reference(trace.start);
  const auto exact = reference.of(batch, ranks);
  const auto worst = test::worst_error(trace.gradients, exact, batch.rows().count(), ranks);
  CAPTURE(worst.name);
  CHECK(worst.ratio <= 1);
  CHECK(trace.reports[0].loss == doctest::Approx(exact.sum / exact.weight).epsilon(1e-5));
  // It would be seen if a rank drew another sample's numbers: the samples of two are exchanged.
  if (ranks == 1) return;
  const auto other =
      test::worst_error(trace.gradients, reference.of(batch, 1), batch.rows().count(), ranks);
  CHECK(other.ratio > 10);
}
}  // namespace

TEST_CASE(
    "dropout, laws 1 and 3: the gradient in fp64 of the global batch, for any world and cut") {
  for (int ranks : {1, 2, 3}) check_gradient<>(ranks);
  check_gradient<GradAccum<2>>(1);
  check_gradient<DataParallel<FullShard>, GradAccum<4>>(2);
}

TEST_CASE("dropout, law 2: every strategy has the same bits") {
  const test::Setup setup{.ranks = 3, .each = 4, .steps = 3};
  const auto expected = test::train<RunOf<>, Case>(setup)[0];
  CHECK(test::all_same(test::train<RunOf<DataParallel<FullShard>>, Case>(setup), expected));
  CHECK(test::all_same(test::train<RunOf<DataParallel<ShardOptimizer>>, Case>(setup), expected));
}

TEST_CASE("dropout, law 8: a model computed again has the bits of the one that keeps") {
  using Again = zoo::CheckpointedDroppingGptCase;
  const test::Setup setup{.ranks = 2, .each = 4, .steps = 3};
  const auto kept = test::train<RunOf<DataParallel<FullShard>, GradAccum<2>>, Case>(setup)[0];
  using Run =
      Trainer<Again::Model, Again::Loss, ClipGradNorm, DataParallel<FullShard>, GradAccum<2>>;
  CHECK(test::all_same(test::train<Run, Again>(setup), kept));
}

TEST_CASE("dropout: rows that DistributedSampler deals out carry their numbers to any world") {
  const int samples = 12, tokens = Case::tokens;
  const zoo::Batch<Case> all(samples);
  const auto losses = [&](int ranks) {
    std::vector<double> losses;
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      const data::DistributedSampler sampler(samples, ranks, world.rank(),
                                             {.shuffle = true, .seed = 4});
      std::vector<int> x, y;
      for (std::int64_t k = 0; k < sampler.size(); ++k) {
        const int s = static_cast<int>(sampler[k]);
        x.insert(x.end(), all.x().samples(s, 1).data, all.x().samples(s, 1).data + tokens);
        y.insert(y.end(), all.y().samples(s, 1).data, all.y().samples(s, 1).data + tokens);
      }
      const Rows rows{samples / ranks, tokens};
      auto run = RunOf<>::on(world, {.seed = 7, .batch = rows.samples, .tokens = tokens});
      for (int step = 0; step < 3; ++step) {
        const auto report = run.step(Tokens{x.data(), rows}, Tokens{y.data(), rows});
        if (world.rank() == 0) losses.push_back(report.loss);
      }
    });
    return losses;
  };
  const auto one = losses(1);
  for (int ranks : {2, 3, 4}) {
    const auto many = losses(ranks);
    // Sums in another order, and two AdamW steps that may turn on the sign of a rounding. A sample that
    // drops other elements changes the mean loss by some 1e-2.
    for (std::size_t step = 0; step < 3; ++step)
      CHECK(many[step] == doctest::Approx(one[step]).epsilon(1e-5));
  }
}
