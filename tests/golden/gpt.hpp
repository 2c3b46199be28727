// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/golden/gpt.hpp: the GPTs of gpt_golden.py as cohort's types, with nanoGPT's names and rows.
#pragma once
#include <cohort/cohort.hpp>
#include <string>
#include <utility>
#include <vector>

#include "golden.hpp"

namespace golden {

namespace nn = cohort::nn;
namespace ops = cohort::ops;

inline constexpr int vocabulary = 61, block = 16, layers = 2, heads = 2, channels = 32, rows = 12;

template <class Bias, class Gelu>
using Block =
    nn::Sequential<nn::Residual<nn::Sequential<nn::LayerNorm<channels, Bias>,
                                               nn::Attention<channels, heads, nn::Causal, Bias>>>,
                   nn::Residual<nn::Sequential<
                       nn::LayerNorm<channels, Bias>, nn::Linear<channels, 4 * channels, Bias>,
                       nn::Gelu<4 * channels, Gelu>, nn::Linear<4 * channels, channels, Bias>>>>;

/// No biases, exact GELU, head tied to the token table.
struct Tied {
  using Model =
      nn::TiedEmbedding<vocabulary, channels,
                        nn::Sequential<nn::AddPosition<block, channels>,
                                       nn::Repeat<layers, Block<nn::NoBias, ops::GeluErf>>,
                                       nn::LayerNorm<channels, nn::NoBias>>>;
  static constexpr const char *file = "tied", *start_file = "tied";
  static std::string name(const std::string& ours) {
    if (ours == "weight") return "transformer.wte.weight";
    return ours.starts_with("body.") ? ours.substr(5) : ours;
  }
  static constexpr const char* children[] = {"wpe", "h", "ln_f"};
};
/// Biases, tanh GELU, a head of its own.
struct Untied {
  using Model =
      nn::Sequential<nn::Embedding<vocabulary, channels>, nn::AddPosition<block, channels>,
                     nn::Repeat<layers, Block<nn::WithBias, ops::GeluTanh>>,
                     nn::LayerNorm<channels>, nn::Linear<channels, vocabulary, nn::NoBias>>;
  static constexpr const char *file = "untied", *start_file = "untied";
  static std::string name(const std::string& ours) { return ours; }
  static constexpr const char* children[] = {"wte", "wpe", "h", "ln_f", "lm_head"};
};

/// Our parameter's name in nanoGPT: "2.1.0.inner.1.qkv.bias" -> "transformer.h.1.attn.c_attn.bias".
template <class Variant> std::string torch_name(const std::string& ours) {
  const std::string name = Variant::name(ours);
  if (name.starts_with("transformer.")) return name;
  const std::string child = Variant::children[name[0] - '0'], rest = name.substr(2);
  if (child != "h") return (child == "lm_head" ? "" : "transformer.") + child + "." + rest;
  static constexpr std::pair<const char*, const char*> inside[] = {
      {"0.inner.0.", "ln_1."},
      {"0.inner.1.qkv.", "attn.c_attn."},
      {"0.inner.1.projection.", "attn.c_proj."},
      {"1.inner.0.", "ln_2."},
      {"1.inner.1.", "mlp.c_fc."},
      {"1.inner.3.", "mlp.c_proj."}};
  for (const auto& [from, to] : inside) {
    const std::string tail = rest.substr(2);
    if (tail.starts_with(from))
      return "transformer.h." + rest.substr(0, 2) + to + tail.substr(std::string(from).size());
  }
  return "no such name: " + ours;
}

/// One file of this folder: load("gpt_tied_start").
inline Golden load(const std::string& name) {
  return Golden::load(std::string(COHORT_TEST_DIR) + "/golden/" + name + ".bin");
}

/// `count` rows of a step from `first` on, cut out of tokens [steps, rows, block + 1].
struct GptRows {
  std::vector<int> inputs, targets;
  cohort::Rows shape;

  GptRows(const std::vector<int>& tokens, int step, int first, int count) : shape{count, block} {
    for (int row = first; row < first + count; ++row) {
      const auto from = tokens.begin() + (step * rows + row) * (block + 1);
      inputs.insert(inputs.end(), from, from + block);
      targets.insert(targets.end(), from + 1, from + 1 + block);
    }
  }
  cohort::Tokens x() const { return {inputs.data(), shape}; }
  cohort::Tokens y() const { return {targets.data(), shape}; }
};

/// The options that the scripts trained with, for one of `ranks` ranks.
template <class Run> typename Run::options options_of(const Golden& notes, int ranks) {
  typename Run::options options{};
  options.batch = rows / ranks;
  options.tokens = block;
  options.learning_rate = notes.number("lr");
  options.optimizer = {notes.number("beta1"), notes.number("beta2"), notes.number("eps"),
                       notes.number("decay")};
  options.clip.max_norm = notes.number("clip");
  return options;
}

/// Gives every parameter its start value. Collective.
template <class Variant, class Run> void set_start(Run& run, const Golden& start) {
  for (const cohort::NamedTensor& p : run.gather_parameters())
    run.set_parameter(p.name, start.as<float>("start." + torch_name<Variant>(p.name)));
}

/// The key third of the bias of queries, keys and values has no true gradient (softmax ignores it),
/// and Adam makes steps of its rounding: left out, here and in the scripts' distances.
inline bool is_key_bias(const cohort::NamedTensor& p, std::size_t k) {
  return p.name.ends_with("qkv.bias") && k >= channels && k < 2 * channels;
}

/// Root of the mean square, and the largest, of a list of errors.
struct Distance {
  double squares = 0, largest = 0, count = 0;
  void add(double error) {
    squares += error * error;
    largest = std::max(largest, std::abs(error));
    ++count;
  }
  double rms() const { return std::sqrt(squares / count); }
};

}  // namespace golden
