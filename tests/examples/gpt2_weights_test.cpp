// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/examples/gpt2_weights_test.cpp: GPT-2 files of Hugging Face's transformers: logits, names, refusals.
#include "../../examples/gpt2_weights.hpp"

#include <doctest/doctest.h>

#include <cohort/checkpoint.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/io/safetensors_writer.hpp>
#include <cohort/launch.hpp>
#include <cohort/policies/full_shard.hpp>
#include <cohort/trainer.hpp>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <set>

#include "golden/golden.hpp"
#include "support/temporary_directory.hpp"

using namespace cohort;

namespace {

namespace fs = std::filesystem;

/// The golden model; its table is padded from 61 rows to 64.
struct Small {
  static constexpr int layers = 2, width = 32, heads = 2, ids = 61, tokens = 24;
  using Block = example::Gpt2Block<layers, width, heads>;
  using Model = example::Gpt2Of<Block, layers, width, 64, 32>;
};
template <class How>
using Run = Trainer<Small::Model, nn::CrossEntropyOver<Small::ids>, DataParallel<How>>;

const fs::path golden_folder = fs::path(COHORT_TEST_DIR) / "golden";
const fs::path golden_file = golden_folder / "gpt2_hf.safetensors";
const golden::Golden& results() {
  static const auto file = golden::Golden::load((golden_folder / "gpt2_hf.bin").string());
  return file;
}

using Folder = cohort::test::TemporaryDirectory;

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The golden file's tensors, to be changed and written elsewhere.
struct Tensors {
  std::vector<io::TensorSpec> specs;
  std::vector<std::vector<std::byte>> data;

  Tensors() {
    const io::Safetensors file(golden_file);
    for (std::size_t i = 0; i < file.size(); ++i) {
      const auto t = file[i];
      const auto bytes = file.view(t);
      add({t.name, t.type, t.shape}, {bytes.begin(), bytes.end()});
    }
  }
  void add(io::TensorSpec spec, std::vector<std::byte> bytes) {
    specs.push_back(std::move(spec));
    data.push_back(std::move(bytes));
  }
  std::size_t index_of(const std::string& name) const {
    for (std::size_t i = 0; i < specs.size(); ++i)
      if (specs[i].name == name) return i;
    FAIL("no tensor " << name);
    return 0;
  }
  void write(const fs::path& path) const {
    std::vector<io::TensorData> all;
    for (std::size_t i = 0; i < specs.size(); ++i) all.push_back({specs[i], data[i]});
    io::write_safetensors(path, all, {{"format", "pt"}});
  }
  /// As the files on the hub: no prefix, causal masks, and the head once more.
  Tensors as_on_the_hub() const {
    Tensors other = *this;
    for (auto& spec : other.specs) spec.name = spec.name.substr(std::string("transformer.").size());
    for (const char* layer : {"h.0", "h.1"}) {
      other.add({std::string(layer) + ".attn.bias", io::StoredType::U8, {1, 1, 32, 32}},
                std::vector<std::byte>(1024));
      other.add({std::string(layer) + ".attn.masked_bias", io::StoredType::F32, {}},
                std::vector<std::byte>(4));
    }
    const auto table = other.index_of("wte.weight");
    auto head = other.specs[table];
    head.name = "lm_head.weight";
    other.add(head, other.data[table]);
    return other;
  }
};

/// Loads into a run of two ranks, then f(run, what was loaded).
template <class How> void with_loaded(const fs::path& path, auto f) {
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run<How>::on(world, {.seed = 5, .batch = 3, .tokens = Small::tokens});
    const example::Gpt2File file(path);
    const Loaded loaded = run.load_full(
        file.path(), {.names = file.names_for<Small>(), .ignore = example::gpt2_may_ignore});
    f(run, loaded);
  });
}
template <class How> std::vector<NamedTensor> parameters_of(const fs::path& path) {
  std::vector<NamedTensor> all;
  with_loaded<How>(path, [&](auto& run, const Loaded&) {
    auto mine = run.gather_parameters();
    if (run.rank() == 0) all = std::move(mine);
  });
  return all;
}
bool same_values(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  return std::ranges::equal(a, b, [](const NamedTensor& x, const NamedTensor& y) {
    return x.name == y.name && x.values == y.values;
  });
}

template <class How> void predicts_what_transformers_does() {
  const auto tokens = results().as<int>("tokens");
  const auto &exact = results().values("logits64"), &single = results().values("logits32");
  double rounding = 0, loss_rounding = 0;
  for (std::size_t i = 0; i < exact.size(); ++i)
    rounding = std::max(rounding, std::abs(exact[i] - single[i]));
  std::vector<int> inputs, targets;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if ((i + 1) % Small::tokens != 0) inputs.push_back(tokens[i]);
    if (i % Small::tokens != 0) targets.push_back(tokens[i]);
  }
  // Both round every sum in fp32, in another order: two such results are as far from fp64 as one
  // another, up to luck, for which there is a factor of 4. A row's loss moves by two logits' errors.
  const double tolerance = 4 * rounding;
  loss_rounding = 2 * tolerance * double(targets.size());
  with_loaded<How>(golden_file, [&](auto& run, const Loaded& loaded) {
    CHECK(loaded.unused.empty());
    const Rows rows{3, Small::tokens}, shifted{3, Small::tokens - 1};
    const auto y = run.predict(Tokens{tokens.data(), rows});
    double worst = 0;
    for (int r = 0; r < rows.count(); ++r)
      for (int c = 0; c < Small::ids; ++c)
        worst = std::max(worst, std::abs(y.data[r * 64 + c] -
                                         exact[static_cast<std::size_t>(r * Small::ids + c)]));
    CHECK(worst <= tolerance);
    CHECK(worst > 0);
    const LossSum loss =
        run.evaluate(Tokens{inputs.data(), shifted}, Tokens{targets.data(), shifted});
    CHECK(loss.weight == 2 * double(targets.size()));  // both ranks have all rows
    CHECK(std::abs(loss.sum / 2 - results().values("loss64")[0]) <= loss_rounding);
  });
}

/// What a model of this size is refused with, or "".
template <class Size> std::string refusal(const fs::path& path) {
  try {
    example::Gpt2File(path).names_for<Size>();
  } catch (const InvalidInput& e) {
    return e.what();
  }
  return "";
}
bool has(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != text.npos);
  return text.find(part) != text.npos;
}

/// A file of a size's names and shapes, without bytes on the disk.
template <class Size> void write_hollow(const fs::path& path) {
  const example::Gpt2Names names;
  const auto ours = parameter_names<typename Size::Model>();
  std::vector<io::TensorSpec> specs;
  for_each_parameter<typename Size::Model>([&]<class P>(int i) {
    const auto stored = names(ours[static_cast<std::size_t>(i)]);
    io::StoredNames(stored).for_each(
        stored.name, P::extents, [&](const io::StoredName& name, int, std::span<const int> held) {
          specs.push_back({name.name, io::StoredType::F32, io::stored_shape(name, held)});
        });
  });
  const io::SafetensorsLayout layout(specs);
  const io::File file = io::File::to_write(path);
  file.write(0, std::as_bytes(std::span(layout.header())));
  file.resize(layout.file_bytes());
}

}  // namespace

TEST_CASE("gpt2_weights: logits and loss are those of transformers, on two ranks") {
  SUBCASE("Replicate") { predicts_what_transformers_does<Replicate>(); }
  SUBCASE("FullShard") { predicts_what_transformers_does<FullShard>(); }
}

TEST_CASE("gpt2_weights: what is written back is transformers' own file, byte for byte") {
  const auto round_trip = []<class How>(How) {
    const Folder folder;
    with_loaded<How>(golden_file, [&](auto& run, const Loaded&) {
      const example::Gpt2Names names{.ids = Small::ids};
      run.save_full(folder / "model.safetensors", {.names = names});
    });
    CHECK(contents(folder / "model.safetensors") == contents(golden_file));
  };
  SUBCASE("Replicate") { round_trip(Replicate{}); }
  SUBCASE("FullShard") { round_trip(FullShard{}); }
}

TEST_CASE("gpt2_weights: files of the hub, and several with an index, hold the same parameters") {
  const Folder folder;
  const auto parameters = parameters_of<FullShard>(golden_file);
  REQUIRE(parameters.size() == 28);
  Tensors().as_on_the_hub().write(folder / "hub.safetensors");
  CHECK(same_values(parameters_of<FullShard>(folder / "hub.safetensors"), parameters));

  with_loaded<FullShard>(golden_file, [&](auto& run, const Loaded&) {
    const example::Gpt2Names names{.ids = Small::ids};
    run.save_full(folder / "model.safetensors", {.names = names, .max_file_bytes = 40'000});
  });
  CHECK(fs::exists(folder / "model-00001-of-00004.safetensors"));
  CHECK(same_values(parameters_of<Replicate>(folder / "model.safetensors.index.json"), parameters));
  CHECK(same_values(parameters_of<Replicate>(folder.path()), parameters));
}

TEST_CASE("gpt2_weights: every parameter of GPT-2 124M has a name of its own in transformers") {
  using Model = example::Gpt2_124M::Model;
  const example::Gpt2Names names;
  std::set<std::string> theirs;
  for (const std::string& ours : parameter_names<Model>()) {
    CAPTURE(ours);
    const auto stored = names(ours);
    theirs.insert(stored.name);
    const bool is_product =
        ours.find("qkv.w") != ours.npos || ours.find("projection.w") != ours.npos ||
        ours.find("1.inner.1.w") != ours.npos || ours.find("1.inner.2.w") != ours.npos;
    CHECK(stored.transposed == is_product);
    CHECK(stored.rows == (ours == "weight" ? 50257 : 0));
  }
  CHECK(theirs.size() == 2 + 12 * 12 + 2);
  const auto name = [&](const char* ours) { return example::Gpt2Names{.prefix = ""}(ours).name; };
  CHECK(name("weight") == "wte.weight");
  CHECK(name("body.0.weight") == "wpe.weight");
  CHECK(name("body.1.11.1.inner.2.bias") == "h.11.mlp.c_proj.bias");
  CHECK(name("body.2.bias") == "ln_f.bias");
  CHECK_THROWS_AS(names("body.1.0.2.inner.0.bias"), InvalidInput);
  CHECK_THROWS_AS(names("body.3.weight"), InvalidInput);
}

TEST_CASE("gpt2_weights: another size is refused by parameter, shapes and the program that fits") {
  const Folder folder;
  const auto file = folder / "model.safetensors";
  write_hollow<example::Gpt2_350M>(file);
  CHECK(refusal<example::Gpt2_350M>(file) == "");
  const std::string text = refusal<example::Gpt2_124M>(file);
  CHECK(has(text,
            "holds a GPT-2 of 24 layers, 1024 wide, this program trains one of 12 layers, 768 "
            "wide: 'transformer.wte.weight' is [50257, 1024] there and [50257, 768] here: use "
            "gpt2_350m."));
  CHECK(text.find('\n') == text.npos);

  using Deeper = example::Gpt2<25, 1024, 16>;
  CHECK(has(refusal<Deeper>(file),
            "'transformer.h.24.ln_1.weight' is absent there and [1024] here: use gpt2_350m."));
  using Shallower = example::Gpt2<23, 1024, 16>;
  CHECK(has(refusal<Shallower>(file),
            "'transformer.h.23.ln_1.weight' is [1024] there and absent here: use gpt2_350m."));
  CHECK(has(refusal<example::Gpt2_124M>(golden_file), "no gpt2 program fits"));
}

TEST_CASE("gpt2_weights: models that only look alike are refused") {
  const Folder folder;
  const auto file = folder / "model.safetensors";
  CHECK(refusal<Small>(golden_file) == "");
  Tensors tensors = Tensors().as_on_the_hub();
  SUBCASE("a head of its own") {
    tensors.data[tensors.index_of("lm_head.weight")][17] ^= std::byte{1};
    tensors.write(file);
    CHECK(has(refusal<Small>(file), "'lm_head.weight' that is not its 'wte.weight'"));
  }
  SUBCASE("other heads, another activation") {
    tensors.write(file);
    std::ofstream(folder / "config.json") << R"({"n_head": 2, "x": [1.5e3, {"n_head": 4}]})";
    CHECK(refusal<Small>(file) == "");
    std::ofstream(folder / "config.json") << R"({"activation_function": "gelu_new", "n_head": 4})";
    CHECK(has(refusal<Small>(file), "has 4 heads (config.json), this program 2"));
    std::ofstream(folder / "config.json") << R"({"activation_function": "relu"})";
    CHECK(has(refusal<Small>(file), "uses relu (config.json), this program gelu_new"));
  }
  SUBCASE("another vocabulary") {
    tensors.specs[tensors.index_of("wte.weight")].shape = {32, 61};
    tensors.write(file);
    CHECK(has(refusal<Small>(file), "'wte.weight' is [32, 61] there and [61, 32] here"));
  }
  SUBCASE("no GPT-2") {
    tensors.specs[tensors.index_of("wte.weight")].name = "embed_tokens.weight";
    tensors.write(file);
    CHECK(has(refusal<Small>(file), "has neither 'wte.weight' nor 'transformer.wte.weight'"));
  }
  SUBCASE("nothing") {
    CHECK_THROWS_AS(example::Gpt2File(folder / "none.safetensors"), io::ReadFailed);
    std::ofstream(file) << "not tensors";
    CHECK_THROWS_AS(example::Gpt2File{file}, io::MalformedFile);
  }
}
