// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gradient_accumulation.cpp: one batch of 64 rows a rank, whole or as 4 micro-batches of 16: what it saves and costs.
#include <cohort/cohort.hpp>
#include <cstdio>
#include <vector>

using namespace cohort;

using Block = nn::Residual<nn::Sequential<nn::Linear<64, 64>, nn::Gelu<64>>>;
using Model = nn::Sequential<nn::Linear<8, 64>, nn::Repeat<4, Block>, nn::Linear<64, 1>>;
template <class How, class Accumulation>
using Run = Trainer<Model, nn::MeanSquaredError<1>, DataParallel<How>, Accumulation, optim::AdamW>;

using Whole = Run<FullShard, GradAccum<1>>;
using InFour = Run<FullShard, GradAccum<4>>;  // gradients stay whole until the last
using ReducedEach = Run<FullShard, GradAccum<4, ReduceEach>>;  // and here only this rank's shard

constexpr Sizes sizes{.ranks = 2, .batch = 64};
constexpr int operations(auto plan) { return plan.num_collectives(); }
constexpr MemoryBytes memory(auto plan) { return plan.memory(sizes); }
constexpr std::size_t sent(auto plan) { return plan.wire_bytes(sizes); }

// Replicated, accumulation is free: the same collectives, the same bytes, a quarter of the activations.
static_assert(operations(Run<Replicate, GradAccum<4>>::plan) ==
              operations(Run<Replicate, GradAccum<1>>::plan));
static_assert(sent(Run<Replicate, GradAccum<4>>::plan) == sent(Run<Replicate, GradAccum<1>>::plan));

// Sharded, every micro-batch gathers the parameters anew. There are 5 groups: the root and 4 blocks.
constexpr int groups = Whole::plan.groups.count;
static_assert(operations(InFour::plan) - operations(Whole::plan) < 3 * (2 * groups));
static_assert(operations(ReducedEach::plan) == operations(InFour::plan) + 3 * groups);
static_assert(memory(InFour::plan).activations < 0.26 * memory(Whole::plan).activations);
static_assert(memory(ReducedEach::plan).total() < memory(InFour::plan).total());

constexpr int steps = 50;

/// Learns the product of two features from rows that no other rank has; prints a line of the table.
template <class Run> void train(auto& world, const char* name) {
  constexpr int batch = sizes.batch, width = 8;
  auto run = Run::on(world, {.seed = 5, .batch = batch, .learning_rate = 3e-3});
  std::vector<float> x(width * batch), y(batch);
  double first = 0, last = 0;
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < batch; ++i) {
      const auto row = static_cast<std::uint64_t>((step * world.size() + world.rank()) * batch + i);
      for (int k = 0; k < width; ++k) x[width * i + k] = normal(3, k, row);
      y[i] = x[width * i] * x[width * i + 1];
    }
    last = run.step({x.data(), {batch}}, {y.data(), {batch}}).loss;
    if (step == 0) first = last;
  }
  if (world.rank() != 0) return;
  const MemoryBytes m = run.memory();
  std::printf("%-26s  %11s  %10s  %11d  %10s  %7.5f  %7.5f\n", name,
              readable_bytes(m.activations).c_str(),
              readable_bytes(m.gradients + m.gathered).c_str(), operations(Run::plan),
              readable_bytes(Run::plan.wire_bytes(run.sizes())).c_str(), first, last);
}

int main(int argc, char** argv) {
  const auto compare = [](auto& world) {
    if (world.rank() == 0)
      std::printf(
          "FullShard, %d rows a rank and step; bytes are those of one rank\n"
          "%-26s  %11s  %10s  %11s  %10s  %7s  step %2d\n",
          sizes.batch, "", "activations", "gradients", "collectives", "sent", "step 1", steps);
    train<Whole>(world, "1 x 64");
    train<InFour>(world, "4 x 16  GradAccum<4>");
    train<ReducedEach>(world, "4 x 16  GradAccum<4, Each>");
  };
  return launch<Threads>(argc, argv, compare, {.ranks = 2});
}
