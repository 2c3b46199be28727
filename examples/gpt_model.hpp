// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_model.hpp: the GPT of nanoGPT's CPU setting as a type: no biases, tied head, exact GELU.
#pragma once
#include <cohort/cohort.hpp>

namespace example {

namespace nn = cohort::nn;
namespace init = cohort::init;

/// Weights are drawn from N(0, 0.02); projections back into the residual stream from N(0, 0.02 / sqrt(2 L)).
template <int C, int Heads, int L>
using Block = nn::Sequential<
    nn::Residual<nn::Sequential<
        nn::LayerNorm<C, nn::NoBias>,
        nn::Attention<C, Heads, nn::Causal, nn::NoBias, init::Normal<2, 100>, init::Normal<2, 100, 2 * L>>>>,
    nn::Residual<nn::Sequential<
        nn::LayerNorm<C, nn::NoBias>, nn::Linear<C, 4 * C, nn::NoBias, init::Normal<2, 100>>, nn::Gelu<4 * C>,
        nn::Linear<4 * C, C, nn::NoBias, init::Normal<2, 100, 2 * L>>>>>;

/// V token ids, T positions, L layers, C wide: [samples * tokens] ids -> [samples * tokens, V] logits.
template <int V, int T, int L, int C, int Heads>
using Gpt = nn::TiedEmbedding<
    V, C,
    nn::Sequential<nn::AddPosition<T, C, init::Normal<2, 100>>, nn::Repeat<L, Block<C, Heads, L>>,
                   nn::LayerNorm<C, nn::NoBias>>,
    init::Normal<2, 100>>;

}  // namespace example
