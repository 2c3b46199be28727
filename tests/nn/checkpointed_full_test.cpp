// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/checkpointed_full_test.cpp: law 8 for further layers, types and strategies.
#include <doctest/doctest.h>

#include "checkpointed.hpp"

using namespace cohort;
using namespace cohort::testing;
using nn::Checkpointed;
using Block = zoo::Block<8, 2>;
static constexpr Rows six{2, 3};

TEST_CASE("checkpointed: y, dx and gradients have the bits of the layer, further layers [full]") {
  check_same<nn::Sequential<nn::LinearGelu<5, 7>, nn::Linear<7, 5>>>(six);
  check_same<nn::Attention<8, 2>>(six);
  check_same<nn::Residual<nn::Sequential<nn::LayerNorm<6>, nn::Linear<6, 6>>>>(six);
  check_same<nn::AddPosition<4, 5>>(six);
  check_same<Checkpointed<Block>>(six);
  check_same<zoo::Scale<5>>(six);
}

TEST_CASE_TEMPLATE("checkpointed: also in 16 bits [full]", T, bf16, fp16) {
  check_same<Block, T>(six);
  check_same<nn::Attention<8, 2>, T>(six);
  check_same<nn::LinearGelu<5, 7>, T>(six);
}

TEST_CASE(
    "checkpointed: the bits and the collectives of the model, replicated and in part [full]") {
  check_law<ClipGradNorm>({.ranks = 3, .steps = 3});
  check_law<DataParallel<ShardGradients>>({.ranks = 2, .steps = 3});
}
