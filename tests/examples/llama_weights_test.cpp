// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/examples/llama_weights_test.cpp: a Llama of Hugging Face's transformers: its file, logits and gradients.
#include "../../examples/llama_model.hpp"

#include <doctest/doctest.h>

#include <cohort/checkpoint.hpp>
#include <cohort/io/safetensors.hpp>

#include "golden/golden.hpp"
#include "io/files.hpp"
#include "support/one_layer.hpp"

using namespace cohort;

namespace {

namespace fs = std::filesystem;

const fs::path golden_folder = fs::path(COHORT_TEST_DIR) / "golden";

/// The golden models (tests/golden/llama_hf_golden.py).
constexpr int ids = 19, heads = 4, kv_heads = 2, gates = 20, samples = 2, tokens = 9;
template <class M, int HeadDim> struct Golden {
  using Model = M;
  std::string name;
  example::LlamaNames names{heads * HeadDim, kv_heads* HeadDim, gates};
  fs::path file = golden_folder / (name + "_hf.safetensors");
  golden::Golden results = golden::Golden::load((golden_folder / (name + "_hf.bin")).string());
};
struct Llama : Golden<example::Llama<ids, 2, 16, heads, kv_heads, gates, 6>, 6> {
  Llama() : Golden{"llama"} {}
};
struct Qwen2 : Golden<example::Qwen2<ids, 2, 16, heads, kv_heads, gates, std::ratio<1, 100>>, 4> {
  Qwen2() : Golden{"qwen2"} {}
};

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
template <class F>
std::vector<double> put_together(const example::LlamaNames& names, const std::string& ours,
                                 F tensor) {
  std::vector<double> all;
  const int more_than_any = 1 << 20;  // rows: of what is not named twice, the rest
  names(ours).for_each(ours, std::vector{more_than_any},
                       [&](const io::StoredName& part, int, auto) {
                         const std::vector<double> values = tensor(part.name);
                         all.insert(all.end(), values.begin(), values.end());
                       });
  return all;
}

}  // namespace

TEST_CASE_TEMPLATE("llama weights: a file of transformers gives its logits, whole and sharded", How,
                   Replicate, FullShard) {
  using Run = Trainer<Llama::Model, nn::CrossEntropy, DataParallel<How>>;
  const Llama golden;
  const std::vector<int> x = golden.results.as<int>("tokens");
  for (const int ranks : {1, 2}) {
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      auto run = Run::on(world, {.batch = samples, .tokens = tokens});
      run.load_full(golden.file, {.names = golden.names});
      const auto logits = run.predict(Tokens{x.data(), {samples, tokens}});
      CHECK(relative(std::vector<float>(logits.data, logits.data + logits.size()),
                     golden.results.values("logits")) <= tolerance);
    });
  }
}

TEST_CASE("llama weights: what is saved is their file, byte for byte") {
  using Run = Trainer<Llama::Model, nn::CrossEntropy, DataParallel<FullShard>>;
  const Llama golden;
  const test::TemporaryDirectory folder;
  launch<Threads>({.ranks = 3}, [&](Threads& world) {
    auto run = Run::on(world, {.batch = samples, .tokens = tokens});
    run.load_full(golden.file, {.names = golden.names});
    run.save_full(folder / "model.safetensors", {.names = golden.names});
  });
  CHECK(test::bytes_of(folder / "model.safetensors") == test::bytes_of(golden.file));
}

TEST_CASE_TEMPLATE("llama weights: logits and gradients are those of transformers", Case, Llama,
                   Qwen2) {
  using Model = typename Case::Model;
  const Case golden;
  zoo::OneLayer<Model> one({samples, tokens});
  const io::Safetensors file(golden.file);
  std::size_t read = 0;
  for (const std::string& name : parameter_names<Model>())
    one.set(name, put_together(golden.names, name, [&](const std::string& tensor) {
              const auto found = *file.find(tensor);
              std::vector<float> values(found.bytes() / sizeof(float));
              file.read(found, 0, std::as_writable_bytes(std::span(values)));
              ++read;
              return std::vector<double>(values.begin(), values.end());
            }));
  CHECK(read == file.size());
  one.run(golden.results.template as<int>("tokens"), golden.results.template as<float>("dy"));
  CHECK(relative(one.y, golden.results.values("logits")) <= tolerance);
  for (const std::string& name : parameter_names<Model>()) {
    CAPTURE(name);
    const auto theirs = put_together(golden.names, name, [&](const std::string& tensor) {
      return golden.results.values("d." + tensor);
    });
    CHECK(relative(one.gradient(name), theirs) <= 4 * tolerance);  // two passes, sums over 18 rows
  }
}

TEST_CASE("llama weights: a name that is no parameter's is refused") {
  CHECK_THROWS_WITH_AS(Llama().names("1.0.0.inner.1.gate.weight"),
                       doctest::Contains("'1.0.0.inner.1.gate.weight' is no parameter"),
                       InvalidInput);
  CHECK_THROWS_AS(Llama().names("4.weight"), InvalidInput);
}
