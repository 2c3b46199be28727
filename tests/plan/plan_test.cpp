// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/plan_test.cpp: the whole plan as constants: GPT-2's published numbers, bytes, hash.
#include <doctest/doctest.h>
#include <cohort/optim/adam.hpp>
#include <cohort/optim/sgd.hpp>
#include <cohort/optim/warmup_cosine.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/trainer.hpp>

#include <set>
#include <string>

#include "support/models.hpp"

using namespace cohort;

namespace {
// GPT-2 124M (Radford et al. 2019; nanoGPT and llm.c print this number): 50257 x 768 tokens, tied
// with the head, 1024 x 768 positions, 12 blocks of 7,087,872 with all biases, a last LayerNorm.
using Gpt2 = zoo::TiedGptOf<50257, 1024, 12, 768, 12>;
using Gpt2Run = Trainer<Gpt2, nn::CrossEntropy>;
constexpr auto gpt2 = Gpt2Run::plan;
static_assert(gpt2.layout.num_elements() == 124'439'808);
static_assert(gpt2.layout.size == 124'439'808);  // every extent is a multiple of 64: no padding
static_assert(gpt2.layout.num_params == 2 + 12 * 12 + 2);
static_assert(gpt2.num_units == 1 + 1 + 12 + 1 && gpt2.groups.count == 13);

// fp32: parameters and gradients 497,759,232 bytes each, AdamW's moments twice that.
constexpr std::size_t gpt2_bytes = std::size_t{124'439'808} * 4;
constexpr Sizes eight{.ranks = 8, .batch = 1, .tokens = 1024};
static_assert(gpt2.memory(eight).parameters == gpt2_bytes);
static_assert(gpt2.memory(eight).gradients == gpt2_bytes);
static_assert(gpt2.memory(eight).optimizer == 2 * gpt2_bytes);
static_assert(gpt2.memory(eight).tables == 1'944'384);  // 1,944,372 chunks in whole lines of 64

// Activations a row: token embedding C, positions C; a block LayerNorm C + 2, qkv 3C, attention
// C + 12 heads, projection and sum C | LayerNorm C + 2, 4C, GELU 4C, product and sum C; LayerNorm C + 2; logits
// V, over which their gradient is written. 1024 rows of fp32 fill whole lines. Beside them, what Repeat keeps of its
// blocks: pointers, a few hundred bytes each.
constexpr std::size_t row_floats = 2 * 768 + 12 * (16 * 768 + 4 + 12) + (768 + 2) + 50257;
constexpr std::size_t gpt2_activations = gpt2.memory(eight).activations;
static_assert(gpt2_activations >= row_floats * 1024 * 4);
static_assert(gpt2_activations < row_floats * 1024 * 4 + 12 * 1024);
// Gradients of activations at the worst place, GELU of a block that is not the last: dh of the head,
// dx of the last LayerNorm, dx of the block after, GELU's dy and dx: 3C + 2 x 4C.
static_assert(gpt2.memory(eight).backward == std::size_t{11} * 768 * 1024 * 4);
static_assert(gpt2.peak_bytes(eight) == gpt2.memory(eight).total());
static_assert(gpt2.peak_bytes(eight) < 4_GiB);

// 2 (N-1)/N of the gradient, and (sum, weight) of the loss in fp64: 2 x 14 bytes.
static_assert(gpt2.wire_bytes(eight) == 2 * (gpt2_bytes / 8 * 7) + 28);
static_assert(gpt2.wire_bytes({.ranks = 1}) == 0);
static_assert(gpt2.num_collectives() == gpt2.buckets.count + 1);
static_assert(gpt2.effective_batch({.ranks = 8, .batch = 12}) == 96);

template <class M, class... Ps> constexpr auto plan_of = Trainer<M, nn::CrossEntropy, Ps...>::plan;
constexpr auto once = plan_of<zoo::Gpt>;
constexpr auto thrice = plan_of<zoo::Gpt, GradAccum<3>>;
static_assert(thrice.micro_batch({.batch = 12}) == 4 && once.micro_batch({.batch = 12}) == 12);

/// Two layers of equal extents: the names differ in one letter.
template <fixed_string Own, fixed_string Inner> struct Named {
  using Params = cohort::Params<Param<Own, 3>>;
  using Children = cohort::Children<Child<Inner, nn::Linear<3, 3>>>;
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto r = cohort::forward(ctx, p.template child<0>(), x);
    return Out{r.y, keep(ctx, "r"_p = r.saved)};
  }
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    return cohort::backward(ctx, p.template child<0>(), s["r"_p], dy, g.template child<0>());
  }
};
}  // namespace

TEST_CASE("plan: accumulation changes neither parameters nor traffic, only activations") {
  const Sizes s{.ranks = 4, .batch = 12, .tokens = 4};
  CHECK(thrice.wire_bytes(s) == once.wire_bytes(s));
  CHECK(thrice.num_collectives() == once.num_collectives());
  CHECK(thrice.memory(s).parameters == once.memory(s).parameters);
  CHECK(thrice.memory(s).activations ==
        once.memory({.ranks = 4, .batch = 4, .tokens = 4}).activations);
  CHECK(thrice.memory(s).activations < once.memory(s).activations);
}

TEST_CASE("plan: only the last micro-batch communicates") {
  CHECK(thrice.program<MicroBatch::first>.count == 0);
  CHECK(thrice.program<MicroBatch::middle>.count == 0);
  CHECK(thrice.program<MicroBatch::last>.count == thrice.buckets.count + 1);
}

TEST_CASE("plan: a step is first, middle ..., last, or only") {
  const auto order = [](const auto& plan) {
    std::string out;
    plan.for_each_micro_batch([&]<MicroBatch M>() {
      out += M == MicroBatch::only    ? 'o'
             : M == MicroBatch::first ? 'f'
             : M == MicroBatch::last  ? 'l'
                                      : 'm';
    });
    return out;
  };
  CHECK(order(once) == "o");
  CHECK(order(plan_of<zoo::OddMlp, GradAccum<2>>) == "fl");
  CHECK(order(thrice) == "fml");
  CHECK(order(plan_of<zoo::OddMlp, GradAccum<5>>) == "fmmml");
}

// Model-wide sums do not depend on the cut into buckets or groups.
TEST_CASE("plan: buckets cover the gradient once, so bytes on the wire do not depend on them") {
  zoo::for_each_case([]<class Case>() {
    CAPTURE(Case::name());
    using Fine = Trainer<typename Case::Model, typename Case::Loss, Buckets<1, 1>>;
    constexpr auto whole = Trainer<typename Case::Model, typename Case::Loss>::plan;
    const Sizes s{.ranks = 4, .batch = 2, .tokens = Case::tokens};
    CHECK(Fine::plan.wire_bytes(s) == whole.wire_bytes(s));
    int trained = 0;
    for (const ParamInfo& p : whole.layout.params) trained += p.trains;
    CHECK(Fine::plan.num_collectives() == trained + 1);
    CHECK(whole.wire_bytes(s) == 2 * (whole.layout.size * 4 / 4 * 3) + 2 * 12);
  });
}

TEST_CASE("plan: a collective waits for the unit that completes its bucket, in a growing order") {
  constexpr auto plan = plan_of<zoo::Gpt, Buckets<256, 1024>>;
  constexpr const auto& program = plan.program<MicroBatch::only>;
  int after = 0;
  for (int i = 0; i + 1 < program.count; ++i) {
    const Op& op = program.op[static_cast<std::size_t>(i)];
    CHECK(op.kind == OpKind::all_reduce);
    CHECK(op.count == plan.buckets[i].count());
    CHECK(op.after == decltype(plan)::markers::backward_ended(plan.buckets[i].unit));
    CHECK(op.after >= after);
    after = op.after;
  }
  CHECK(program.op[static_cast<std::size_t>(program.count - 1)] ==
        Op{OpKind::loss, 0, decltype(plan)::markers::backward_ended(0), 2, DType::f64});
}

TEST_CASE("plan: the hash tells apart what ranks must agree on") {
  using Base = nn::Sequential<nn::Linear<3, 4>, nn::Linear<4, 3>>;
  const std::set<std::uint64_t> hashes{
      plan_of<Base>.hash(),
      plan_of<nn::Sequential<nn::Linear<3, 5>, nn::Linear<5, 3>>>.hash(),  // extents
      plan_of<nn::Sequential<nn::Linear<3, 4, nn::NoBias>, nn::Linear<4, 3>>>.hash(),
      plan_of<Base, GradAccum<2>>.hash(),
      plan_of<Base, GradAccum<3>>.hash(),
      plan_of<Base, Buckets<1, 1>>.hash(),
      plan_of<Base, optim::Sgd>.hash(),   // one moment instead of two
      plan_of<Base, optim::Adam>.hash(),  // the same sizes and options as AdamW
      plan_of<Base, optim::WarmupCosine>.hash(),
      plan_of<nn::Sequential<nn::Linear<3, 4>, nn::ReLU<4>, nn::Linear<4, 3>>>.hash(),
      plan_of<nn::Sequential<nn::Linear<3, 4>, nn::Gelu<4>, nn::Linear<4, 3>>>.hash(),
      plan_of<Base, Groups<Each<nn::Linear<3, 4>>>>.hash(),
      plan_of<Named<"own", "inner">>.hash(),
      plan_of<Named<"owm", "inner">>.hash(),
      plan_of<Named<"own", "inmer">>.hash(),
  };
  CHECK(hashes.size() == 15);
  // Groups alone: Replicate's operations are the same.
  CHECK(plan_of<zoo::Gpt>.hash() != plan_of<zoo::Gpt, Groups<One>>.hash());
}

TEST_CASE("plan: the hash does not depend on the order of policies") {
  CHECK(plan_of<zoo::Gpt, GradAccum<2>, Buckets<256, 512>, optim::Sgd>.hash() ==
        plan_of<zoo::Gpt, optim::Sgd, Buckets<256, 512>, GradAccum<2>>.hash());
}
