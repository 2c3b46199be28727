// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/examples/gpt2_weights_test.cpp: GPT-2 files of Hugging Face's transformers: logits, names, refusals.
#include <doctest/doctest.h>

#include "../../examples/gpt2_weights.hpp"

#include <cohort/comm/threads.hpp>
#include <cohort/io/safetensors_writer.hpp>
#include <cohort/launch.hpp>
#include <cohort/policies/full_shard.hpp>
#include <cohort/trainer.hpp>
#include <cstring>
#include <fstream>

#include "golden/golden.hpp"

using namespace cohort;

namespace {

/// The golden model, its table padded from 61 to 64 rows.
struct Small {
  static constexpr int layers = 2, width = 32, heads = 2, ids = 61, tokens = 24;
  using Block = example::Gpt2Block<layers, width, heads>;
  using Model = example::Gpt2Of<Block, layers, width, 64, 32>;
};
template <class How>
using Run = Trainer<Small::Model, nn::CrossEntropyOver<Small::ids>, DataParallel<How>>;

const std::filesystem::path golden_folder = std::filesystem::path(COHORT_TEST_DIR) / "golden";
const std::filesystem::path golden_file = golden_folder / "gpt2_hf.safetensors";

const golden::Golden& results() {
  static const auto file = golden::Golden::load((golden_folder / "gpt2_hf.bin").string());
  return file;
}

template <class R> void load(R& run, const example::Gpt2File& file) {
  const auto names = file.names_for<Small>();
  const io::Safetensors tensors(file.path());
  for (NamedTensor p : run.gather_parameters()) {
    const auto stored = names(p.name);
    const auto t = *tensors.find(stored.name);
    std::vector<float> values(t.bytes() / 4);
    std::memcpy(values.data(), tensors.view(t).data(), t.bytes());
    std::fill(p.values.begin(), p.values.end(), 0.0f);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t cols = stored.transposed ? t.shape[1] : 1;
      p.values[stored.transposed ? i % cols * t.shape[0] + i / cols : i] = values[i];
    }
    run.set_parameter(p.name, p.values);
  }
}

template <class How> void predicts_what_transformers_does() {
  const auto ids = results().as<int>("tokens");
  const auto& exact = results().values("logits64");
  const auto& single = results().values("logits32");
  double rounding = 0;
  for (std::size_t i = 0; i < exact.size(); ++i)
    rounding = std::max(rounding, std::abs(exact[i] - single[i]));
  launch<Threads>({.ranks = 2}, [&](Threads& world) {
    auto run = Run<How>::on(world, {.seed = 5, .batch = 3, .tokens = Small::tokens});
    load(run, example::Gpt2File(golden_file));
    const Rows rows{3, Small::tokens};
    const auto y = run.predict(Tokens{ids.data(), rows});
    double worst = 0;
    for (int r = 0; r < rows.count(); ++r)
      for (int c = 0; c < 64; ++c)
        worst = std::max(worst, c < Small::ids
                                    ? std::abs(y.data[r * 64 + c] - exact[std::size_t(r * Small::ids + c)])
                                    : std::abs(double(y.data[r * 64 + c])));
    MESSAGE(worst, " against ", rounding);
    CHECK(worst <= 4 * rounding);
  });
}

}  // namespace

TEST_CASE("gpt2_weights: logits are those of transformers, on two ranks") {
  SUBCASE("Replicate") { predicts_what_transformers_does<Replicate>(); }
  SUBCASE("FullShard") { predicts_what_transformers_does<FullShard>(); }
}
