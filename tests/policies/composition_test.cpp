// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/composition_test.cpp: each rule of a composition holds for its model and fails for a near miss.
#include <doctest/doctest.h>
#include <cohort/nn/activations.hpp>
#include <cohort/nn/frozen.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/policies/composition.hpp>

using namespace cohort;

namespace {

using Model = nn::Linear<4, 2>;
using Blocks = nn::Repeat<2, nn::Linear<2, 2>>;
using Loss = nn::MeanSquaredError<2>;
using Sharded = DataParallel<FullShard>;

static_assert(HasParameters<Model> && HasTrainedParameters<Model>);
static_assert(HasParameters<nn::Frozen<Model>> && !HasTrainedParameters<nn::Frozen<Model>>);
static_assert(!HasParameters<nn::Gelu<4>>);

static_assert(ReducesWhatItShards<Model, GradAccum<2>>);
static_assert(!ReducesWhatItShards<Model, GradAccum<2, ReduceEach>>);
static_assert(ReducesWhatItShards<Model, GradAccum<2, ReduceEach>, DataParallel<ShardGradients>>);

static_assert(HasGroupsToShard<Blocks, Sharded> && HasGroupsToShard<Model>);
static_assert(!HasGroupsToShard<Model, Sharded> && HasGroupsToShard<Model, Sharded, Groups<One>>);

static_assert(ScalesFp16<Model> && !ScalesFp16<Model, MixedPrecision<fp16, fp32>>);
static_assert(ScalesFp16<Model, MixedPrecision<fp16, fp32>, DynamicLossScale<>>);
static_assert(!ScalesFp16Only<Model, MixedPrecision<bf16, fp32>, DynamicLossScale<>>);
static_assert(RoundsWithoutMasters<Model, MixedPrecision<bf16, bf16>, StochasticRounding>);
static_assert(!RoundsWithoutMasters<Model, MixedPrecision<bf16, fp32>, StochasticRounding>);

static_assert(Trainable<Model, Loss> && Trainable<Blocks, Loss, Sharded>);
static_assert(!Trainable<Model, Loss, Sharded> && !Trainable<Model, nn::MeanSquaredError<3>>);
static_assert(!Trainable<Model, Loss, GradAccum<2>, GradAccum<3>> && !Trainable<Model, Loss, int>);

TEST_CASE("Trainable: a list and its near misses are told apart while compiling") {
  CHECK(Trainable<Model, Loss, optim::AdamW>);
}

}  // namespace
