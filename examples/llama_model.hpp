// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/llama_model.hpp: Llama 3 and Qwen2 as types, and what Hugging Face's files call their parameters.
#pragma once
#include <cohort/cohort.hpp>
#include <cohort/io/stored_name.hpp>
#include <string>

namespace example {

namespace nn = cohort::nn;

template <int C, int F>
using FeedForward =
    nn::Sequential<nn::Linear<C, 2 * F, nn::NoBias>, nn::SwiGlu<F>, nn::Linear<F, C, nn::NoBias>>;

/// Queries of Heads heads, keys and values of KvHeads; queries and keys are turned by the token's position.
/// Bias is that of the three.
template <int C, int Heads, int KvHeads, int HeadDim, int F, class Positions = nn::Rope<500000>,
          class Bias = nn::NoBias, class Epsilon = nn::NormEpsilon>
using LlamaBlock = nn::Sequential<
    nn::Residual<nn::Sequential<
        nn::RmsNorm<C, Epsilon>,
        nn::GroupedQueryAttention<C, Heads, KvHeads, HeadDim, Positions, nn::Causal, Bias>>>,
    nn::Residual<nn::Sequential<nn::RmsNorm<C, Epsilon>, FeedForward<C, F>>>>;

/// V token ids, L blocks, C wide, feed-forward F wide. Blocks are computed again in backward: of each, only
/// its input is kept.
template <int V, int L, int C, int Heads, int KvHeads, int F, int HeadDim = C / Heads>
using Llama =
    nn::Sequential<nn::Embedding<V, C>,
                   nn::Repeat<L, nn::Checkpointed<LlamaBlock<C, Heads, KvHeads, HeadDim, F>>>,
                   nn::RmsNorm<C>, nn::Linear<C, V, nn::NoBias>>;

/// Qwen2 and 2.5: biases on queries, keys and values, another epsilon, the head tied to the token table, as in
/// the sizes up to 3B.
template <int V, int L, int C, int Heads, int KvHeads, int F,
          class Epsilon = std::ratio<1, 1000000>>
using Qwen2 = nn::TiedEmbedding<
    V, C,
    nn::Sequential<
        nn::Repeat<L, nn::Checkpointed<LlamaBlock<C, Heads, KvHeads, C / Heads, F,
                                                  nn::Rope<1000000>, nn::WithBias, Epsilon>>>,
        nn::RmsNorm<C, Epsilon>>,
    cohort::init::Normal<2, 100>>;

/// The names of LlamaForCausalLM and Qwen2ForCausalLM, which keep apart what one product here computes.
///
///   run.load_full("model.safetensors", {.names = example::LlamaNames{.queries = 4096, .keys = 1024, .gates = 14336}});
struct LlamaNames {
  int queries, keys, gates;  // rows of q_proj, of k_proj and of v_proj, of gate_proj

  cohort::io::StoredNames operator()(const std::string& ours) const {
    using Tensor = cohort::io::StoredName;
    if (ours == "0.weight" || ours == "weight") return Tensor{"model.embed_tokens.weight"};
    if (ours == "2.weight" || ours == "body.1.weight") return Tensor{"model.norm.weight"};
    if (ours == "3.weight") return Tensor{"lm_head.weight"};
    const std::size_t begin = ours.starts_with("body.0.") ? 7 : 2;  // 1.N.what, or body.0.N.what
    const std::size_t end = ours.find('.', begin);
    const std::string layer = "model.layers." + ours.substr(begin, end - begin) + ".";
    const std::string what = end == ours.npos ? "" : ours.substr(end + 1);
    if (what == "0.inner.0.weight") return Tensor{layer + "input_layernorm.weight"};
    for (const std::string kind : {"weight", "bias"})
      if (what == "0.inner.1.qkv." + kind)
        return {{layer + "self_attn.q_proj." + kind, false, queries},
                {layer + "self_attn.k_proj." + kind, false, keys},
                {layer + "self_attn.v_proj." + kind}};
    if (what == "0.inner.1.projection.weight") return Tensor{layer + "self_attn.o_proj.weight"};
    if (what == "1.inner.0.weight") return Tensor{layer + "post_attention_layernorm.weight"};
    if (what == "1.inner.1.0.weight")
      return {{layer + "mlp.gate_proj.weight", false, gates}, {layer + "mlp.up_proj.weight"}};
    if (what == "1.inner.1.2.weight") return Tensor{layer + "mlp.down_proj.weight"};
    throw cohort::InvalidInput(-1, "LlamaNames",
                               "'" + ours + "' is no parameter of Llama or Qwen2.");
  }
};

}  // namespace example
