// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/llama.cpp: Llama 3 as a type: what its 8B would take on hundreds of ranks, and a small one that trains here.
#include <cohort/plan/simulate.hpp>
#include <cstdio>
#include <vector>

#include "llama_model.hpp"

using namespace cohort;

template <class Model>
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>, MixedPrecision<bf16, fp32>,
                    ClipGradNorm, optim::AdamW>;

// The published models: a plan is a value, whatever machine this is compiled on.
using Large = Run<example::Llama<128256, 32, 4096, 32, 8, 14336>>;
static_assert(Large::plan.layout.num_elements() == 8'030'261'248);
using Qwen = Run<example::Qwen2<151936, 24, 896, 14, 2, 4864>>;
static_assert(Qwen::plan.layout.num_elements() == 494'032'768);  // Qwen2.5-0.5B
constexpr Sizes one_text(int ranks) { return {.ranks = ranks, .batch = 1, .tokens = 8192}; }
static_assert(Large::plan.peak_bytes(one_text(64)) < 16_GiB &&
              Large::plan.peak_bytes(one_text(512)) < 14_GiB);

// And a step is, too: of 512 ranks on H100s, 8 in a machine, less than 5 % would be waiting for others.
constexpr SimulatedStep on_512 = simulate(Large::plan_on<Cuda>{}, one_text(512), h100_cluster);
static_assert(on_512.waits < 0.05 * on_512.seconds);

constexpr int vocabulary = 32, period = 8, tokens = 32, batch = 8;
using Small = Run<example::Llama<vocabulary, 2, 64, 4, 2, 128>>;

/// Eight random tokens again and again: each is to be read where it stood eight tokens before. The first
/// eight cannot be known and do not count.
void fill(std::vector<int>& x, std::vector<int>& y, std::uint64_t sample) {
  for (int i = 0; i < batch * tokens; ++i) {
    const int at = i % tokens;
    const auto token = [&](int place) {
      return static_cast<int>(uniform_below(vocabulary, 5, sample + i / tokens, place % period));
    };
    x[i] = token(at);
    y[i] = at + 1 < period ? ops::ignored_label : token(at + 1);
  }
}

int main(int argc, char** argv) {
  std::printf("Llama 3 8B: %zu parameters; 8192 tokens a rank; bytes of one rank\n",
              Large::plan.layout.num_elements());
  std::printf("%5s  %9s  %11s  %9s  %9s\n", "ranks", "sharded", "activations", "total", "sent");
  for (const int ranks : {8, 64, 512}) {
    const MemoryBytes m = Large::plan.memory(one_text(ranks));
    std::printf("%5d  %9s  %11s  %9s  %9s\n", ranks,
                readable_bytes(m.masters + m.gradients + m.optimizer).c_str(),
                readable_bytes(m.activations).c_str(), readable_bytes(m.total()).c_str(),
                readable_bytes(Large::plan.wire_bytes(one_text(ranks))).c_str());
  }
  std::printf("simulated on H100s that attain 45 %% of their peak, 8 in a machine\n");
  std::printf("%5s  %9s  %13s  %6s\n", "ranks", "a step", "tokens/s", "waits");
  for (const int ranks : {8, 64, 512}) {
    const SimulatedStep step = simulate(Large::plan_on<Cuda>{}, one_text(ranks), h100_cluster);
    std::printf("%5d  %6.0f ms  %13.0f  %4.1f %%\n", ranks, 1e3 * step.seconds,
                ranks * step.tokens_per_second(), 100 * step.waits / step.seconds);
  }
  return launch<Threads>(
      argc, argv,
      [](auto& world) {
        auto run =
            Small::on(world, {.seed = 5, .batch = batch, .tokens = tokens, .learning_rate = 3e-3});
        std::vector<int> x(batch * tokens), y(x.size());
        for (int step = 0; step < 300; ++step) {
          fill(x, y, static_cast<std::uint64_t>((step * world.size() + world.rank()) * batch));
          const Rows rows{batch, tokens};
          const StepReport r = run.step(Tokens{x.data(), rows}, Tokens{y.data(), rows});
          if (world.rank() == 0 && (step + 1) % 60 == 0)
            std::printf("step %d  loss %.4f\n", step + 1, r.loss);
        }
      },
      {.ranks = 2});
}
