// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/full_shard.cpp: the same model under two strategies: read both plans, train under one on 4 ranks.
#include <cstdio>
#include <vector>

#include "gpt_model.hpp"

using namespace cohort;

constexpr int vocabulary = 64, block = 32;
using Model = example::Gpt<vocabulary, block, 6, 64, 4>;
using Sharded =
    Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>, ClipGradNorm, optim::AdamW>;
using Replicated =
    Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, ClipGradNorm, optim::AdamW>;

// What 512 ranks would hold is known before any of them is rented.
constexpr auto state = [](auto plan, int ranks) {
  const MemoryBytes m = plan.memory({.ranks = ranks, .batch = 8, .tokens = block});
  return m.parameters + m.gradients + m.optimizer;
};
static_assert(state(Sharded::plan, 512) < state(Replicated::plan, 512) / 2);
static_assert(Sharded::plan.wire_bytes({.ranks = 8}) <
              2 * Replicated::plan.wire_bytes({.ranks = 8}));

/// Rows that count upwards from a place of their own: the model learns to count.
void fill(std::vector<int>& x, std::vector<int>& y, std::uint64_t row) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto start = uniform_below(vocabulary, 1, 0, row + i / block);
    x[i] = static_cast<int>((start + i % block) % vocabulary);
    y[i] = (x[i] + 1) % vocabulary;
  }
}

int main(int argc, char** argv) {
  for (int ranks : {8, 512}) {
    print(Sharded::plan, {.ranks = ranks, .batch = 8, .tokens = block});
    std::printf("replicated, the same state would take %s a rank\n\n",
                readable_bytes(state(Replicated::plan, ranks)).c_str());
  }
  return launch<Threads>(
      argc, argv,
      [](auto& world) {
        constexpr int batch = 8;
        auto run =
            Sharded::on(world, {.seed = 3, .batch = batch, .tokens = block, .learning_rate = 3e-3});
        std::vector<int> x(batch * block), y(batch * block);
        for (int step = 0; step < 60; ++step) {
          fill(x, y, static_cast<std::uint64_t>((step * world.size() + world.rank()) * batch));
          const Rows rows{batch, block};
          const StepReport r = run.step(Tokens{x.data(), rows}, Tokens{y.data(), rows});
          if (world.rank() == 0 && (step + 1) % 20 == 0) {
            std::printf("step %d  loss %.4f  gradient norm %.3f\n", step + 1, r.loss, r.grad_norm);
          }
        }
      },
      {.ranks = 4});
}
