// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/examples/llama_weights_test.cpp: a Llama of Hugging Face's transformers: its file, logits and gradients.
#include "../../examples/llama_model.hpp"

#include <doctest/doctest.h>

#include <cohort/checkpoint.hpp>
#include <cohort/io/safetensors.hpp>

#include "golden/golden.hpp"
#include "support/one_layer.hpp"
#include "support/temporary_directory.hpp"

using namespace cohort;

namespace {

namespace fs = std::filesystem;

/// The golden model (tests/golden/llama_hf_golden.py).
constexpr int ids = 19, heads = 4, kv_heads = 2, head_dim = 6, gates = 20, samples = 2, tokens = 9;
using Model = example::Llama<ids, 2, 16, heads, kv_heads, gates, head_dim>;
const example::LlamaNames names{heads * head_dim, kv_heads* head_dim, gates};

const fs::path golden_folder = fs::path(COHORT_TEST_DIR) / "golden";
const fs::path golden_file = golden_folder / "llama_hf.safetensors";
const golden::Golden& results() {
  static const auto file = golden::Golden::load((golden_folder / "llama_hf.bin").string());
  return file;
}
/// The distance from theirs as a share of the largest of theirs.
template <class T> double relative(const std::vector<T>& ours, const std::vector<double>& theirs) {
  double off = ours.size() == theirs.size() ? 0 : HUGE_VAL, most = 0;
  for (std::size_t i = 0; i < ours.size() && i < theirs.size(); ++i) {
    off = std::max(off, std::fabs(double(ours[i]) - theirs[i]));
    most = std::max(most, std::fabs(theirs[i]));
  }
  return off / most;
}
/// Their angles and norms are fp32: two blocks of some ten such results one after the other, each moving
/// what follows by a few units; ours, in fp32, sum up to 24 products besides.
constexpr double tolerance = 1000 * 0x1p-24;

/// A parameter of ours from tensors of theirs, one below the other.
template <class F> std::vector<double> put_together(const std::string& ours, F tensor) {
  std::vector<double> all;
  names(ours).for_each(std::vector{1 << 20}, [&](const io::StoredName& part, int, auto) {
    const std::vector<double> values = tensor(part.name);
    all.insert(all.end(), values.begin(), values.end());
  });
  return all;
}

}  // namespace

TEST_CASE_TEMPLATE("llama weights: a file of transformers gives its logits, whole and sharded", How,
                   Replicate, FullShard) {
  using Run = Trainer<Model, nn::CrossEntropy, DataParallel<How>>;
  const std::vector<int> x = results().as<int>("tokens");
  for (const int ranks : {1, 2}) {
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      auto run = Run::on(world, {.batch = samples, .tokens = tokens});
      const Loaded loaded = run.load_full(golden_file, {.names = names});
      CHECK(loaded.unused.empty());
      const auto logits = run.predict(Tokens{x.data(), {samples, tokens}});
      CHECK(relative(std::vector<float>(logits.data, logits.data + logits.size()),
                     results().values("logits")) <= tolerance);
    });
  }
}

TEST_CASE("llama weights: what is saved has their names, shapes and values") {
  using Run = Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>>;
  const test::TemporaryDirectory folder;
  launch<Threads>({.ranks = 3}, [&](Threads& world) {
    auto run = Run::on(world, {.batch = samples, .tokens = tokens});
    run.load_full(golden_file, {.names = names});
    run.save_full(folder / "model.safetensors", {.names = names});
  });
  const io::Safetensors theirs(golden_file), ours(folder / "model.safetensors");
  REQUIRE(ours.size() == theirs.size());
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    CAPTURE(theirs[i].name);
    const auto found = ours.find(theirs[i].name);
    REQUIRE(found);
    CHECK(found->shape == theirs[i].shape);
    const auto a = ours.view(*found), b = theirs.view(theirs[i]);
    CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
  }
}

TEST_CASE("llama weights: gradients are those of transformers") {
  zoo::OneLayer<Model> one({samples, tokens});
  const io::Safetensors file(golden_file);
  for (const std::string& name : parameter_names<Model>())
    one.set(name, put_together(name, [&](const std::string& tensor) {
              const auto found = *file.find(tensor);
              std::vector<float> values(found.bytes() / sizeof(float));
              file.read(found, 0, std::as_writable_bytes(std::span(values)));
              return std::vector<double>(values.begin(), values.end());
            }));
  one.run(results().as<int>("tokens"), results().as<float>("dy"));
  CHECK(relative(one.y, results().values("logits")) <= tolerance);
  for (const std::string& name : parameter_names<Model>()) {
    CAPTURE(name);
    const auto theirs = put_together(
        name, [](const std::string& tensor) { return results().values("d." + tensor); });
    CHECK(relative(one.gradient(name), theirs) <= 4 * tolerance);  // two passes, sums over 18 rows
  }
}
