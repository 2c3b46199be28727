// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/mixed_precision_test.cpp: 16-bit compute: the same bits under every strategy, half the
// bytes, memory as planned, and roundings where they are announced and nowhere else.
#include <cohort/policies/mixed_precision.hpp>

#include <doctest/doctest.h>

#include "mixed.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Half = MixedPrecision<bf16, fp32>;            // reduced in bf16
using HalfWide = MixedPrecision<bf16, fp32, fp32>;  // reduced in fp32
using Case = zoo::GptCase;

template <class How, class... More> using RunOf = MixedRun<Case, How, 1, More...>;
template <class How, class... More> using PlanOf = typename RunOf<How, More...>::plan_type;

// ---------------------------------------------------------------- law 2

TEST_CASE("MixedPrecision<bf16, fp32>: FullShard has the bits of Replicate") {
  check_mixed<Case, 1, Half>({1, 3, 4}, both_streams[1], std::type_identity<FullShard>{});
}
TEST_CASE("MixedPrecision<bf16, fp32, fp32>: HybridShard too, whose sums are rounded once") {
  const Setup setup{.ranks = 4, .steps = 10};
  const auto whole = train_sharded<RunOf<Replicate, HalfWide>, Case>(setup);
  CHECK(all_same(train_sharded<RunOf<HybridShard<2>, HalfWide>, Case>(setup), whole[0]));
  const auto narrow = train_sharded<RunOf<Replicate, Half>, Case>(setup);
  CHECK_FALSE(same_bits(narrow[0].parameters, whole[0].parameters));  // the type of the sums counts
}
static_assert(
    std::is_same_v<PlanOf<FullShard, MixedPrecision<fp32>>, PlanOf<FullShard>>);  // the default

// ---------------------------------------------------------------- law 5: half the bytes

TEST_CASE("MixedPrecision: calls are the planned ones, in the planned types") {
  check_tape<RunOf<Replicate, Half>, Case>(3);
  check_tape<RunOf<FullShard, Half>, Case>(4);
}
/// Bytes of parameters and gradients that a rank sends in a step.
template <class Plan> constexpr std::size_t sent_by(int ranks) {
  return Plan::wire_bytes({.ranks = ranks, .batch = 6, .tokens = 4}) -
         small_bytes(ranks, Plan::data::shards_gradients ? ranks : 1);
}
static_assert(sent_by<PlanOf<FullShard, Half>>(4) > 0);
static_assert(2 * sent_by<PlanOf<FullShard, Half>>(4) == sent_by<PlanOf<FullShard>>(4));
static_assert(2 * sent_by<PlanOf<FullShard, Half>>(3) == sent_by<PlanOf<FullShard>>(3));
static_assert(2 * sent_by<PlanOf<ShardGradients, Half>>(8) == sent_by<PlanOf<ShardGradients>>(8));
// One gather in bf16, one reduction in fp32: three quarters.
static_assert(4 * sent_by<PlanOf<FullShardKeepForward, HalfWide>>(4) ==
              3 * sent_by<PlanOf<FullShardKeepForward>>(4));

/// Bytes of gradient in Replicate's calls of one step.
template <class Plan> constexpr std::size_t reduced_bytes() {
  std::size_t sum = 0;
  for (const Op& op : Plan::template program<MicroBatch::only>)
    if (op.kind == OpKind::all_reduce) sum += op.count * bytes(op.dtype);
  return sum;
}
static_assert(reduced_bytes<PlanOf<Replicate>>() == PlanOf<Replicate>::layout.size * 4);
static_assert(reduced_bytes<PlanOf<Replicate, Half>>() == PlanOf<Replicate>::layout.size * 2);
static_assert(reduced_bytes<PlanOf<Replicate, HalfWide>>() == PlanOf<Replicate>::layout.size * 4);

// ---------------------------------------------------------------- memory

TEST_CASE("MixedPrecision: the heap of a run is the planned peak, to the byte") {
  check_heap<RunOf<FullShard, Half>, Case>(3);
}
TEST_CASE("MixedPrecision: steps take no memory") {
  check_steps_allocate_nothing<RunOf<FullShard, Half>, Case>(2);
}

// In mixed precision (sharded_test.cpp has the fp32 row): 2 bytes of parameter, 4 of gradient, 12 of master
// and moments.
static_assert(within_a_percent(state_of_huge<Replicate, Half>(), 135));
static_assert(within_a_percent(state_of_huge<FullShard, Half>(), 1.875));

// ---------------------------------------------------------------- law 7

TEST_CASE("MixedPrecision: delays on any rank change no bit") {
  check_delays<RunOf<FullShard, Half>, Case>(3, 3);
}

// ---------------------------------------------------------------- what is rounded, and what is not

TEST_CASE("MixedPrecision: masters keep what bf16 cannot hold; sums have the type of Reduce") {
  const Setup setup{.ranks = 2, .steps = 4};
  for (const auto& seen : {train_sharded<RunOf<Replicate, Half>, Case>(setup)[0],
                           train_sharded<RunOf<FullShard, Half>, Case>(setup)[0]}) {
    CHECK(share_in_bf16(seen.parameters) < 0.2);
    CHECK(share_in_bf16(seen.gradients) == 1);
  }
  const auto wide = train_sharded<RunOf<Replicate, HalfWide>, Case>(setup);
  CHECK(share_in_bf16(wide[0].gradients) < 0.2);
}

TEST_CASE(
    "MixedPrecision: layers see masters rounded to nearest, and only when they have changed") {
  // y = W x with x a row of the identity: the output is a column of the weight that forward read.
  using Model = nn::Linear<4, 3, nn::NoBias>;
  using Run = Trainer<Model, nn::MeanSquaredError<3>, Half, optim::Sgd>;
  launch<Threads>({.ranks = 2}, [](Threads& world) {
    auto run = Run::on(world, {.seed = 3, .batch = 4, .learning_rate = 1e-2});
    const float identity[16] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, target[12] = {};
    for (int step = 0; step < 4; ++step) {
      const std::vector<float> w = run.gather_parameters()[0].values;  // (3, 4)
      const auto y = run.predict({identity, {4}});
      for (int o = 0; o < 3; ++o)
        for (int i = 0; i < 4; ++i)
          CHECK(float(y.data[i * 3 + o]) == float(bf16(w[static_cast<std::size_t>(o * 4 + i)])));
      run.step({identity, {4}}, {target, {4}});
    }
  });
}

TEST_CASE("MixedPrecision: updates below a step of bf16 add up in masters and are lost without") {
  // The gradient of (w - 1)^2 at w = 2 is 2; a step of bf16 near 2 is 2^-6 above and 2^-7 below.
  const auto trained = []<class Precision>(std::type_identity<Precision>) {
    using Run =
        Trainer<nn::Linear<1, 1, nn::NoBias>, nn::MeanSquaredError<1>, Precision, optim::Sgd>;
    float w = 0;
    launch<Threads>({.ranks = 1}, [&](Threads& world) {
      auto run = Run::on(world, {.batch = 1, .learning_rate = 1e-4});
      const float start = 2, x = 1, y = 1;
      run.set_parameter("weight", {&start, 1});
      for (int step = 0; step < 100; ++step) run.step({&x, {1}}, {&y, {1}});
      w = run.gather_parameters()[0].values[0];
    });
    return w;
  };
  CHECK(trained(std::type_identity<MixedPrecision<bf16, bf16>>{}) == 2);
  CHECK(trained(std::type_identity<Half>{}) == doctest::Approx(2 - 100 * 2e-4).epsilon(1e-3));
}

}  // namespace
