// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_model.hpp: small GPTs as types: the demo's, and nanoGPT's with its tied head and its initialisation.
#pragma once
#include <cohort/cohort.hpp>

namespace example {

namespace nn = cohort::nn;
namespace init = cohort::init;

/// Pre-norm block without biases, exact GELU. Init draws the weights, Last those that lead back into the
/// residual stream.
template <int C, int Heads, class Init = init::UniformFanIn, class Last = Init>
using Block = nn::Sequential<
    nn::Residual<nn::Sequential<nn::LayerNorm<C, nn::NoBias>,
                                nn::Attention<C, Heads, nn::Causal, nn::NoBias, Init, Last>>>,
    nn::Residual<nn::Sequential<nn::LayerNorm<C, nn::NoBias>,
                                nn::LinearGelu<C, 4 * C, nn::NoBias, cohort::ops::GeluErf, Init>,
                                nn::Linear<4 * C, C, nn::NoBias, Last>>>>;

/// V token ids, T positions, L layers, C wide: [samples * tokens] ids -> [samples * tokens, V] logits.
/// A head of its own and PyTorch's default initialisation.
template <int V, int T, int L, int C, int Heads>
using Gpt =
    nn::Sequential<nn::Embedding<V, C>, nn::AddPosition<T, C>, nn::Repeat<L, Block<C, Heads>>,
                   nn::LayerNorm<C, nn::NoBias>, nn::Linear<C, V, nn::NoBias>>;

/// The same with the head tied to the token table and nanoGPT's initialisation: N(0, 0.02), and
/// N(0, 0.02 / sqrt(2 L)) for projections back into the residual stream.
template <int V, int T, int L, int C, int Heads>
using NanoGpt = nn::TiedEmbedding<
    V, C,
    nn::Sequential<
        nn::AddPosition<T, C, init::Normal<2, 100>>,
        nn::Repeat<L, Block<C, Heads, init::Normal<2, 100>, init::Normal<2, 100, 2 * L>>>,
        nn::LayerNorm<C, nn::NoBias>>,
    init::Normal<2, 100>>;

/// The demo's: ids are bytes, so any text fits.
inline constexpr int vocabulary = 256, block = 64;
using Model = Gpt<vocabulary, block, 4, 128, 4>;

}  // namespace example
