// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_weights.hpp: GPT-2 as Hugging Face's transformers stores it: names, transposes, sizes.
#pragma once
#include "gpt2_model.hpp"

#include <algorithm>
#include <cohort/io/json.hpp>
#include <cohort/io/mapped_file.hpp>
#include <cohort/io/safetensors_index.hpp>
#include <cohort/io/stored_name.hpp>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace example {

/// transformers' name for a parameter of Gpt2Of: "body.1.0.0.inner.1.qkv.weight" is
/// "transformer.h.0.attn.c_attn.weight".
///
/// Shapes   weights of its Conv1D are [in, out], ours [out, in]. c_attn and our qkv hold queries, keys and
///          values side by side, head by head. wte.weight has no rows but those of ids.
struct Gpt2Names {
  std::string prefix = "transformer.";  // GPT2LMHeadModel's; "" GPT2Model's, and on the hub
  int ids = gpt2_ids;

  cohort::io::StoredName operator()(const std::string& ours) const {
    if (ours == "weight") return {prefix + "wte.weight", false, ids};
    if (ours.starts_with("body.0.")) return {prefix + "wpe." + ours.substr(7)};
    if (ours.starts_with("body.2.")) return {prefix + "ln_f." + ours.substr(7)};
    if (const auto layer = ours.find('.', 7); ours.starts_with("body.1.") && layer != ours.npos) {
      const std::string part = ours.substr(layer + 1);
      for (const Part& p : parts)
        if (part.starts_with(p.ours))
          return {prefix + "h." + ours.substr(7, layer - 7) + p.theirs + part.substr(p.ours.size()),
                  p.is_product && part.ends_with(".weight")};
    }
    throw cohort::InvalidInput(-1, "Gpt2Names", "'" + ours + "' is no parameter of Gpt2Of.");
  }

 private:
  struct Part {
    std::string_view ours;
    const char* theirs;
    bool is_product;
  };
  static constexpr Part parts[] = {
      {"0.inner.0.", ".ln_1.", false},
      {"0.inner.1.qkv.", ".attn.c_attn.", true},
      {"0.inner.1.projection.", ".attn.c_proj.", true},
      {"1.inner.0.", ".ln_2.", false},
      {"1.inner.1.", ".mlp.c_fc.", true},
      {"1.inner.2.", ".mlp.c_proj.", true},
  };
};

/// Is it no parameter, or one that stands there twice: the causal mask, and the head tied to wte?
inline bool gpt2_may_ignore(std::string_view theirs) {
  return theirs.ends_with(".attn.bias") || theirs.ends_with(".attn.masked_bias") ||
         theirs == "lm_head.weight";
}

/// A GPT-2 on disk: model.safetensors, the index of several, or the directory that holds one of them.
///
/// Errors   ReadFailed, MalformedFile; InvalidInput: another size or another model, in one sentence that
///          names a parameter, both shapes and the program that fits.
class Gpt2File {
 public:
  explicit Gpt2File(const std::filesystem::path& path) : path_(path), files_(path) {
    if (!find(prefix_ + "wte.weight")) prefix_ = "";
    if (!find(prefix_ + "wte.weight"))
      refuse("has neither 'wte.weight' nor 'transformer.wte.weight': name a GPT-2 of transformers");
    while (find(prefix_ + "h." + std::to_string(layers_) + ".ln_1.weight")) ++layers_;
    if (const auto norm = find(prefix_ + "ln_f.weight"); norm && norm->shape.size() == 1)
      width_ = norm->shape[0];
  }

  /// What run.load_full reads.
  const std::filesystem::path& path() const { return path_; }
  /// The names of a model of this size, after every parameter's shape was compared.
  template <class Size> Gpt2Names names_for() const {
    const Gpt2Names names{prefix_, Size::ids};
    const std::vector<std::string> ours = cohort::parameter_names<typename Size::Model>();
    cohort::for_each_parameter<typename Size::Model>([&]<class P>(int i) {
      const std::string& own = ours[static_cast<std::size_t>(i)];
      const cohort::io::StoredNames stored = names(own);
      stored.for_each(own, P::extents, [&](const auto& tensor, int, std::span<const int> held) {
        const auto here = cohort::io::stored_shape(tensor, held);
        const auto there = find(tensor.name);
        if (!there || there->shape != here)
          refuse_size<Size>(tensor.name, there ? readable(there->shape) : "absent", readable(here));
      });
    });
    if (layers_ > Size::layers) {
      const std::string name = prefix_ + "h." + std::to_string(Size::layers) + ".ln_1.weight";
      refuse_size<Size>(name, readable(find(name)->shape), "absent");
    }
    check_config(Size::heads);
    check_tied_head();
    return names;
  }

 private:
  static std::string readable(std::span<const std::uint64_t> shape) {
    return cohort::io::readable_shape(shape);
  }
  std::optional<cohort::io::StoredTensor> find(const std::string& name) const {
    if (const auto found = files_.find(name)) return found->tensor;
    return {};
  }
  /// Weights tell neither the heads nor the activation; config.json does, where it is.
  void check_config(int heads) const {
    const bool in_folder = std::filesystem::is_directory(path_);
    const auto config = (in_folder ? path_ : path_.parent_path()) / "config.json";
    if (!std::filesystem::exists(config)) return;
    const cohort::io::MappedFile file(config);
    cohort::io::JsonReader json(file.text(), file.path());
    std::string theirs = std::to_string(heads), activation = "gelu_new";
    json.object([&](cohort::io::JsonString key) {
      if (key == "n_head")
        theirs = std::to_string(json.unsigned_integer());
      else if (key == "activation_function")
        activation = json.string().text();
      else
        json.skip_value();
    });
    if (theirs != std::to_string(heads))
      refuse("has " + theirs + " heads (config.json), this program " + std::to_string(heads));
    if (activation != "gelu_new" && activation != "gelu_pytorch_tanh")
      refuse("uses " + activation + " (config.json), this program gelu_new");
  }
  /// A head of its own would be dropped silently: here it is wte.
  void check_tied_head() const {
    const auto head = files_.find("lm_head.weight"), table = files_.find(prefix_ + "wte.weight");
    if (!head || !table) return;
    const auto same = [](const auto& a, const auto& b) {
      return a.tensor.type == b.tensor.type &&
             std::ranges::equal(a.file->view(a.tensor), b.file->view(b.tensor));
    };
    if (!same(*head, *table))
      refuse("has an 'lm_head.weight' that is not its 'wte.weight': here the head is that table");
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw cohort::InvalidInput(-1, "gpt2 --init", "'" + path_.string() + "' " + why + ".");
  }
  template <class Size>
  [[noreturn]] void refuse_size(const std::string& name, const std::string& there,
                                const std::string& here) const {
    const auto size = [](auto layers, auto width) {
      return std::to_string(layers) + " layers, " + std::to_string(width) + " wide";
    };
    std::string fits = "; no gpt2 program fits: write one as examples/gpt2_350m.cu is";
    for (const Program& p : programs) {
      const bool is_this = p.layers == Size::layers && p.width == Size::width;
      if (p.layers == layers_ && p.width == width_ && !is_this)
        fits = std::string(": use ") + p.name;
    }
    refuse("holds a GPT-2 of " + size(layers_, width_) + ", this program trains one of " +
           size(Size::layers, Size::width) + ": '" + name + "' is " + there + " there and " + here +
           " here" + fits);
  }

  struct Program {
    int layers;
    std::uint64_t width;
    const char* name;
  };
  static constexpr Program programs[] = {{12, 768, "gpt2"},
                                         {24, 1024, "gpt2_350m"},
                                         {36, 1280, "gpt2_774m"},
                                         {48, 1600, "gpt2_1558m"}};

  std::filesystem::path path_;
  cohort::io::SafetensorsSet files_;
  std::string prefix_ = "transformer.";
  int layers_ = 0;
  std::uint64_t width_ = 0;
};

}  // namespace example
