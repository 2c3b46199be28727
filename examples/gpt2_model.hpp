// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_model.hpp: GPT-2 as types, from 124 million to 1.6 billion parameters.
#pragma once
#include <cohort/cohort.hpp>

namespace example {

/// 50257 ids padded to a multiple of 128, which matrix units like; the 47 further ones occur nowhere, and
/// the loss passes over them (Gpt2Loss).
inline constexpr int gpt2_vocabulary = 50304, gpt2_ids = 50257, gpt2_tokens = 1024;

/// Pre-norm, biases everywhere, GELU by tanh; N(0, 0.02), and N(0, 0.02 / sqrt(2 L)) for projections back
/// into the residual stream.
template <int L, int C, int Heads, class Init = cohort::init::Normal<2, 100>,
          class Last = cohort::init::Normal<2, 100, 2 * L>>
using Gpt2Block = cohort::nn::Sequential<
    cohort::nn::Residual<cohort::nn::Sequential<
        cohort::nn::LayerNorm<C>,
        cohort::nn::Attention<C, Heads, cohort::nn::Causal, cohort::nn::WithBias, Init, Last>>>,
    cohort::nn::Residual<cohort::nn::Sequential<
        cohort::nn::LayerNorm<C>,
        cohort::nn::LinearGelu<C, 4 * C, cohort::nn::WithBias, cohort::ops::GeluTanh, Init>,
        cohort::nn::Linear<4 * C, C, cohort::nn::WithBias, Last>>>>;

/// [samples * tokens] ids -> [samples * tokens, Vocabulary] logits: learned positions, L blocks, a last norm,
/// the head tied to the token table.
template <class Block, int L, int C, int Vocabulary = gpt2_vocabulary, int Positions = gpt2_tokens>
using Gpt2Of = cohort::nn::TiedEmbedding<
    Vocabulary, C,
    cohort::nn::Sequential<cohort::nn::AddPosition<Positions, C, cohort::init::Normal<2, 100>>,
                           cohort::nn::Repeat<L, Block>, cohort::nn::LayerNorm<C>>,
    cohort::init::Normal<2, 100>>;

/// Over the ids that occur: a pretrained model's logits are far below the 0 of rows that are none.
using Gpt2Loss = cohort::nn::CrossEntropyOver<gpt2_ids>;

/// A size: L layers, C wide, Heads heads of 64.
template <int L, int C, int Heads> struct Gpt2 {
  static_assert(C == 64 * Heads);
  static constexpr int layers = L, width = C, heads = Heads, ids = gpt2_ids;
  using Block = Gpt2Block<L, C, Heads>;
  using Model = Gpt2Of<Block, L, C>;
  /// Tables of tokens and positions, L blocks, the last norm.
  static constexpr std::size_t parameters =
      std::size_t(gpt2_vocabulary + gpt2_tokens) * C + std::size_t(L) * (12 * C + 13) * C + 2 * C;
  /// Operations of forward and backward for a token: 6 for each parameter, 12 L C T for the scores and
  /// sums of attention, as if it were not causal (PaLM, arXiv:2204.02311, appendix B).
  static constexpr double flops(double tokens) {
    return 6 * double(parameters) + 12.0 * L * C * tokens;
  }
};

using Gpt2_124M = Gpt2<12, 768, 12>;
using Gpt2_350M = Gpt2<24, 1024, 16>;
using Gpt2_774M = Gpt2<36, 1280, 20>;
using Gpt2_1558M = Gpt2<48, 1600, 25>;
static_assert(Gpt2_124M::parameters == 124'439'808 + 47 * 768);  // OpenAI's, and the padding
static_assert(Gpt2_1558M::parameters == 1'557'611'200 + 47 * 1600);

}  // namespace example
