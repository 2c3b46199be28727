// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/llama_model.hpp: Llama 3 as a type, and what Hugging Face's files call its parameters.
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
template <int C, int Heads, int KvHeads, int HeadDim, int F>
using LlamaBlock = nn::Sequential<
    nn::Residual<nn::Sequential<
        nn::RmsNorm<C>, nn::GroupedQueryAttention<C, Heads, KvHeads, HeadDim, nn::Rope<500000>>>>,
    nn::Residual<nn::Sequential<nn::RmsNorm<C>, FeedForward<C, F>>>>;

/// V token ids, L blocks, C wide, feed-forward F wide. Blocks are computed again in backward: of each, only
/// its input is kept.
template <int V, int L, int C, int Heads, int KvHeads, int F, int HeadDim = C / Heads>
using Llama =
    nn::Sequential<nn::Embedding<V, C>,
                   nn::Repeat<L, nn::Checkpointed<LlamaBlock<C, Heads, KvHeads, HeadDim, F>>>,
                   nn::RmsNorm<C>, nn::Linear<C, V, nn::NoBias>>;

/// The names of LlamaForCausalLM, which keeps apart what one product here computes.
///
///   run.load_full("model.safetensors", {.names = example::LlamaNames{.queries = 4096, .keys = 1024, .gates = 14336}});
struct LlamaNames {
  int queries, keys, gates;  // rows of q_proj, of k_proj and of v_proj, of gate_proj

  cohort::io::StoredNames operator()(const std::string& ours) const {
    using One = cohort::io::StoredName;
    if (ours == "0.weight") return One{"model.embed_tokens.weight"};
    if (ours == "2.weight") return One{"model.norm.weight"};
    if (ours == "3.weight") return One{"lm_head.weight"};
    const std::size_t end = ours.find('.', 2);  // 1.N.what
    const std::string layer = "model.layers." + ours.substr(2, end - 2) + ".",
                      what = ours.substr(end + 1);
    if (what == "0.inner.0.weight") return One{layer + "input_layernorm.weight"};
    if (what == "0.inner.1.qkv.weight")
      return {{layer + "self_attn.q_proj.weight", false, queries},
              {layer + "self_attn.k_proj.weight", false, keys},
              {layer + "self_attn.v_proj.weight"}};
    if (what == "0.inner.1.projection.weight") return One{layer + "self_attn.o_proj.weight"};
    if (what == "1.inner.0.weight") return One{layer + "post_attention_layernorm.weight"};
    if (what == "1.inner.1.0.weight")
      return {{layer + "mlp.gate_proj.weight", false, gates}, {layer + "mlp.up_proj.weight"}};
    return One{layer + "mlp.down_proj.weight"};
  }
};

}  // namespace example
