// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/checkpointed_test.cpp: law 8: computing again changes no bit and no collective, and takes the memory planned.
#include "checkpointed.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::testing;

namespace {
using nn::Checkpointed;
using Dense = nn::Linear<5, 3>;
using Block = zoo::Block<8, 2>;
static_assert(Layer<Checkpointed<Dense>> && Layer<Checkpointed<Block>>);
static_assert(Layer<Checkpointed<zoo::TwoBranches<4>>> && Layer<Checkpointed<zoo::Scale<3>>>);
static_assert(Layer<Checkpointed<nn::Frozen<Dense>>> && Layer<nn::Frozen<Checkpointed<Dense>>>);
static_assert(Layer<Checkpointed<Checkpointed<Block>>>);
static_assert(nn::OnePiece<Block> && !nn::OnePiece<nn::Repeat<2, Block>> && !nn::OnePiece<int>);
static_assert(!nn::OnePiece<nn::Sequential<nn::Repeat<2, Block>, Block>>);

// Parameters are L's, name by name and place by place.
static_assert(subtree<Checkpointed<Block>>() == subtree<Block>());
static_assert(subtree<nn::Frozen<Checkpointed<Dense>>>() == FlatCount{0, 128, 2});
static_assert(AddsForward<Checkpointed<Block>> == AddsForward<Block>);

// Whatever L keeps, its result alone stays; the rest is scratch.
constexpr Rows six{2, 3};
static_assert(Of<Checkpointed<Block>>::planned(six).activations == Tensor<float, 8>::bytes(six));
static_assert(Of<Checkpointed<Block>>::planned(six).scratch ==
              Of<Block>::planned(six).activations + Of<Block>::planned(six).scratch);
static_assert(Of<Checkpointed<Block>>::planned(six).backward == Of<Block>::planned(six).backward);

/// With 64 bytes less than the plan says, the arena of scratch overflows.
template <class L> void check_tight(Rows rows) {
  auto bytes = Of<Checkpointed<L>>::planned(rows);
  REQUIRE(bytes.scratch >= 64);
  bytes.scratch -= 64;
  Of<Checkpointed<L>> one(rows, bytes);
  one.draw(3);
  const auto dy = zoo::normals(static_cast<std::size_t>(rows.count()) * L::Output::extent, 2);
  CHECK_THROWS_AS(one.run(inputs<L>(rows, 0.0f), dy), ContractBroken);
}

int forwards = 0;
/// Counts its forwards; says nothing of skipping.
struct Counted : zoo::Scale<8> {
  static auto forward(auto& ctx, const auto& p, auto x) {
    ++forwards;
    return zoo::Scale<8>::forward(ctx, p, x);
  }
};
int products = 0, skipped = 0;
/// Skips its result when nobody wants it.
struct Skipping : zoo::Scale<8> {
  static constexpr bool skips_forward = true;
  static auto forward(auto& ctx, const auto& p, auto x) {
    ++products;
    return zoo::Scale<8>::forward(ctx, p, x);
  }
  static auto forward(auto& ctx, const auto&, auto x, NoResult) {
    ++skipped;
    return Out{ctx.like(x), keep(ctx, "x"_p = x)};
  }
};
static_assert(SkipsForward<Skipping> && SkipsForward<nn::Sequential<Counted, Skipping>>);
static_assert(SkipsForward<nn::Residual<Skipping>> && SkipsForward<Block> &&
              !SkipsForward<Counted>);
}  // namespace

TEST_CASE("checkpointed: y, dx and gradients have the bits of the layer") {
  check_same<Dense>(six);
  check_same<nn::LayerNorm<5>>(six);
  check_same<nn::LinearGelu<5, 70>>({200, 2});
  check_same<Block>(six);
  check_same<zoo::TwoBranches<5>>(six);
  check_same<nn::Embedding<5, 6>>(six);
  check_same<nn::Frozen<nn::LayerNorm<6>>>(six);
  check_same<nn::Sequential<Checkpointed<Block>, nn::LayerNorm<8>, Checkpointed<Block>>>(six);
}

TEST_CASE("checkpointed: also in 16 bits") {
  check_same<Block, bf16>(six);
  check_same<nn::LinearGelu<5, 7>, fp16>(six);
}

TEST_CASE("checkpointed: as part of a sum, and frozen") {
  const auto check = []<class A, class B>(std::type_identity<A>, std::type_identity<B>) {
    Of<A> kept(six);
    Of<B> again(six);
    kept.draw(3);
    again.draw(3);
    const auto x = zoo::normals(6 * 8, 1), dy = zoo::normals(6 * 8, 2);
    kept.run(x, dy);
    again.run(x, dy);
    CHECK(again.y == kept.y);
    CHECK(again.dx == kept.dx);
    CHECK(parameter_names<A>() == parameter_names<B>());
    for (const auto& name : parameter_names<A>())
      CHECK(again.gradient(name) == kept.gradient(name));
  };
  using Inner = nn::Sequential<nn::LayerNorm<8>, nn::Attention<8, 2>>;
  check(std::type_identity<nn::Residual<Inner>>{},
        std::type_identity<nn::Residual<Checkpointed<Inner>>>{});
  check(std::type_identity<nn::Frozen<Block>>{},
        std::type_identity<nn::Frozen<Checkpointed<Block>>>{});
}

TEST_CASE("checkpointed: the scratch that is planned is what it takes") {
  check_tight<Block>({1, 16});
  check_tight<nn::Attention<16, 2>>({1, 16});
  check_tight<zoo::Scale<16>>({1, 16});
}

TEST_CASE("checkpointed: finite differences") {
  CHECK(check_gradients<Checkpointed<Block>>().ok());
  CHECK(check_gradients<nn::Residual<Checkpointed<nn::Attention<4, 2>>>>().ok());
  CHECK(
      check_gradients<nn::Sequential<Checkpointed<nn::LinearGelu<4, 6>>, nn::Linear<6, 4>>>().ok());
}

TEST_CASE("checkpointed: forward runs twice a step, but for a last product that may be skipped") {
  const auto x = zoo::normals(6 * 8, 1), dy = zoo::normals(6 * 8, 2);
  forwards = products = skipped = 0;
  Of<Checkpointed<nn::Sequential<Counted, nn::Residual<Skipping>>>> one(six);
  one.draw(3);
  one.run(x, dy);
  CHECK(forwards == 2);
  CHECK(products == 1);
  CHECK(skipped == 1);
  one.evaluate(x);
  CHECK(forwards == 3);
}

// ---------------------------------------------------------------- in a model

TEST_CASE("checkpointed: the bits and the collectives of the model, sharded") {
  check_law<DataParallel<FullShard>, ClipGradNorm>({.ranks = 3, .steps = 3});
  check_law<DataParallel<FullShard>, GradAccum<2>, MixedPrecision<bf16, fp32>>(
      {.ranks = 2, .steps = 3});
}

TEST_CASE("checkpointed: Groups<Each<Block>> finds the block inside") {
  using Named = RunOf<AgainCase, Groups<Each<Block>>>;
  using Plain = RunOf<KeptCase, Groups<Each<Block>>>;
  static_assert(Named::plan.num_units == Plain::plan.num_units);
  static_assert(Named::plan.groups.count == Plain::plan.groups.count);
  check_law<DataParallel<FullShard>, Groups<Each<Block>>>({.ranks = 2, .steps = 2});
}
