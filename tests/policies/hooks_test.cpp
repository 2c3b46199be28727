// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/hooks_test.cpp: what the library's policies offer suffices; each hook that is missing is seen.
#include <cohort/policies/hooks.hpp>

#include <doctest/doctest.h>

#include <cohort/cohort.hpp>

using namespace cohort;

namespace {

static_assert(HasHooks<optim::AdamW> && HasHooks<optim::Adam> && HasHooks<optim::Sgd>);
static_assert(HasHooks<optim::WarmupCosine> && HasHooks<optim::ConstantRate>);
static_assert(HasHooks<ClipGradNorm> && HasHooks<NoClip> && HasHooks<GradAccum<2, ReduceEach>>);
static_assert(HasHooks<MixedPrecision<bf16>> && HasHooks<MixedPrecision<tf32>>);
static_assert(HasHooks<DynamicLossScale<>> && HasHooks<NoScale>);
static_assert(HasHooks<StochasticRounding> && HasHooks<NearestRounding>);
static_assert(HasHooks<Buckets<>> && HasHooks<Groups<One>> && HasHooks<Groups<BySize<1, 2>>>);
static_assert(HasHooks<DataParallel<Replicate>> && HasHooks<DataParallel<FullShard>>);
static_assert(HasHooks<DataParallel<HybridShard<2>>> && HasHooks<CudaGraph> && HasHooks<Eager>);
static_assert(!HasHooks<int> && !HasHooks<slots::optimizer>);

/// What every optimizer below has, one thing taken away by each of the types that follow.
struct Numbers {
  double beta = 0.9;
};
struct Whole {
  using slot = slots::optimizer;
  using Options = Numbers;
  [[maybe_unused]] static constexpr int moments = 1;
  template <class D, class T>
  static void update(const D&, const Shard<T>&, UpdateStep, const Options&) {}
};
struct NoOptions {
  using slot = slots::optimizer;
  [[maybe_unused]] static constexpr int moments = 1;
  static void update(const auto&, const auto&, UpdateStep, const auto&) {}
};
struct NoMoments {
  using slot = slots::optimizer;
  using Options = Numbers;
  static void update(const auto&, const auto&, UpdateStep, const Options&) {}
};
struct MomentsOfRunTime : NoMoments {
  [[maybe_unused]] inline static int moments = 1;
};
struct NoUpdate {
  using slot = slots::optimizer;
  using Options = Numbers;
  [[maybe_unused]] static constexpr int moments = 1;
};
struct UpdateWithoutStep : NoUpdate {
  static void update(const auto&, const auto&, const Options&) {}
};
struct OnGpusOnly : NoUpdate {
  template <class T> struct Step {};
};
static_assert(HasHooks<Whole> && HasHooks<OnGpusOnly>);
static_assert(Policy<NoOptions> && !HasHooks<NoOptions>);
static_assert(!HasHooks<NoMoments> && !HasHooks<MomentsOfRunTime>);
static_assert(!HasHooks<NoUpdate> && !HasHooks<UpdateWithoutStep>);

struct Rate {
  using slot = slots::schedule;
  using Options = Numbers;
  static double at(std::int64_t, double rate, const Options&) { return rate; }
};
struct NoRate {
  using slot = slots::schedule;
  using Options = Numbers;
};
struct RateIsText : NoRate {
  static const char* at(std::int64_t, double, const Options&) { return ""; }
};
struct RateWithoutOptions {
  using slot = slots::schedule;
  static double at(std::int64_t, double rate, const Numbers&) { return rate; }
};
static_assert(HasHooks<Rate>);
static_assert(!HasHooks<NoRate> && !HasHooks<RateIsText> && !HasHooks<RateWithoutOptions>);

template <class S> struct Bare { using slot = S; };
static_assert(!HasHooks<Bare<slots::clipping>> && !HasHooks<Bare<slots::accumulation>>);
static_assert(!HasHooks<Bare<slots::precision>> && !HasHooks<Bare<slots::buckets>>);
static_assert(!HasHooks<Bare<slots::groups>> && !HasHooks<Bare<slots::data>>);
static_assert(!HasHooks<Bare<slots::scaling>> && !HasHooks<Bare<slots::rounding>>);
static_assert(!HasHooks<Bare<slots::capture>> && !HasHooks<Bare<slots::anomalies>>);
static_assert(!HasHooks<Bare<slots::profiling>>);

TEST_CASE("hooks: an optimizer that offers the hooks and nothing else trains") {
  using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, Whole, Rate>;
  launch<Threads>({.ranks = 2}, [](Threads& world) {
    auto run = Run::on(world, {.batch = 1, .learning_rate = 0.5, .optimizer = {.beta = 0.5}});
    const float x[3] = {1, 2, 3}, y[2] = {};
    CHECK(run.step({x, {1, 1}}, {y, {1, 1}}).learning_rate == 0.5);
  });
}

}  // namespace
