// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/work_test.cpp: operations of layers, against sums made by hand.
#include <cohort/core/work.hpp>

#include <doctest/doctest.h>

#include <cohort/nn/activations.hpp>
#include <cohort/nn/attention.hpp>
#include <cohort/nn/checkpointed.hpp>
#include <cohort/nn/embedding.hpp>
#include <cohort/nn/frozen.hpp>
#include <cohort/nn/layer_norm.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/nn/swiglu.hpp>

using namespace cohort;

namespace {

constexpr Rows rows{2, 8};
template <class L> constexpr bool takes(double forward, double backward, Rows r = rows) {
  const Work w = work_of<L>(r);
  return w.forward == forward && w.backward == backward;
}

// 16 rows: a matrix meets each once, a bias none; backward has two products.
static_assert(takes<nn::Linear<3, 5>>(2 * 16 * 15, 4 * 16 * 15));
static_assert(takes<nn::Frozen<nn::Linear<3, 5>>>(2 * 16 * 15, 2 * 16 * 15));  // dx alone
static_assert(takes<nn::Sequential<nn::Linear<3, 5>, nn::Gelu<5>, nn::LayerNorm<5>>>(480, 960));
static_assert(takes<nn::Repeat<3, nn::Residual<nn::Linear<4, 4>>>>(3 * 512, 3 * 1024));
// Again, but for the product at the end, whose result nobody needs twice.
static_assert(takes<nn::Checkpointed<nn::Linear<3, 5>>>(480, 960));
static_assert(takes<nn::Checkpointed<nn::Sequential<nn::Linear<4, 4>, nn::Linear<4, 4>>>>(2 * 512,
                                                                                          2 * 1024 +
                                                                                              512));
static_assert(
    takes<nn::Checkpointed<nn::Sequential<nn::Linear<4, 4>, nn::LayerNorm<4>>>>(512, 1024 + 512));
// Tables are looked up; a tied one is a head, too.
static_assert(takes<nn::Embedding<11, 6>>(0, 0) && takes<nn::AddPosition<8, 6>>(0, 0));
static_assert(takes<nn::TiedEmbedding<11, 6, nn::Linear<6, 6>>>(2. * 16 * (66 + 36),
                                                                4. * 16 * (66 + 36)));
// 8 queries of a sample see 4.5 keys on average; two products, then five.
static_assert(takes<nn::ScaledDotProduct<6, 2>>(2 * 2 * 16 * 4.5 * 6, 5 * 2 * 16 * 4.5 * 6));
static_assert(takes<nn::ScaledDotProduct<6, 2, nn::Bidirectional>>(2 * 2 * 16 * 8 * 6,
                                                                   5 * 2 * 16 * 8 * 6));
static_assert(takes<nn::SwiGlu<5>>(0, 0));

/// A layer that says its own.
struct Cubic : nn::Linear<3, 3> {
  static constexpr Work work(Rows r) { return {27.0 * r.count(), 54.0 * r.count()}; }
};
static_assert(takes<Cubic>(27 * 16, 54 * 16));

// What is frozen or computed again keeps what it says; frozen, dx alone is left of two products.
static_assert(takes<nn::Frozen<Cubic>>(27 * 16, 27 * 16));
static_assert(takes<nn::Frozen<nn::AddPosition<8, 6>>>(0, 0));
static_assert(takes<nn::Frozen<nn::TiedEmbedding<11, 6, nn::Linear<6, 6>>>>(2. * 16 * (66 + 36),
                                                                            2. * 16 * (66 + 36)));
constexpr Work attention = work_of<nn::Attention<6, 2>>(rows);
constexpr double projections = 2. * 16 * 4 * 36, scores = 2 * 2 * 16 * 4.5 * 6;
static_assert(attention.forward == projections + scores);
static_assert(takes<nn::Frozen<nn::Attention<6, 2>>>(projections + scores,
                                                     projections + 2.5 * scores));
static_assert(takes<nn::Checkpointed<nn::Attention<6, 2>>>(
    projections + scores, 2.75 * projections + 3.5 * scores));  // qkv again, the last not
static_assert(
    takes<nn::Frozen<nn::Checkpointed<nn::Sequential<nn::Linear<4, 4>, nn::LayerNorm<4>>>>>(
        512, 512 + 512));

TEST_CASE("work: GPT-2 124M, three times 2 N a token and attention's, as published budgets count") {
  constexpr int C = 768;
  using Block = nn::Sequential<nn::Residual<nn::Sequential<nn::LayerNorm<C>, nn::Attention<C, 12>>>,
                               nn::Residual<nn::Sequential<nn::LayerNorm<C>, nn::Linear<C, 4 * C>,
                                                           nn::Gelu<4 * C>, nn::Linear<4 * C, C>>>>;
  using Gpt2 = nn::TiedEmbedding<
      50257, C, nn::Sequential<nn::AddPosition<1024, C>, nn::Repeat<12, Block>, nn::LayerNorm<C>>>;
  constexpr Rows text{1, 1024};
  const Work w = work_of<Gpt2>(text);
  const double matrices = 12. * 12 * C * C + 50257. * C;
  const double scores = 12 * 2. * 512.5 * C;  // one product of a token's, over 12 layers
  CHECK(w.forward == doctest::Approx(1024 * (2 * matrices + 2 * scores)).epsilon(1e-12));
  CHECK(w.backward == doctest::Approx(1024 * (4 * matrices + 5 * scores)).epsilon(1e-12));
  CHECK(6e-6 * matrices == doctest::Approx(741).epsilon(0.001));  // MFLOP a token, llm.c's shapes
}

}  // namespace
