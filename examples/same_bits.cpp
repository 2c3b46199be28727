// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/same_bits.cpp: one training on 1, 2, 4 or 8 ranks (--ranks N): the same bits on any of them.
#include <cohort/cohort.hpp>
#include <cohort/core/readable_bytes.hpp>
#include <cstdio>
#include <cstring>
#include <vector>

using namespace cohort;

using Block = nn::Residual<nn::Sequential<nn::LayerNorm<64>, nn::Linear<64, 64>, nn::Gelu<64>,
                                          nn::Dropout<64, std::ratio<1, 10>>>>;
using Model = nn::Sequential<nn::Linear<8, 64>, nn::Repeat<4, Block>, nn::Linear<64, 1>>;
using Run = Trainer<Model, nn::MeanSquaredError<1>, DataParallel<FullShard>, ClipGradNorm,
                    optim::AdamW, Reproducible<8>>;  // the bits of eight ranks

constexpr int global_batch = 128, width = 8, steps = 100;

// On fewer ranks each does the work of several, one micro-batch each, and keeps a few sums of gradients for it.
static_assert(Run::plan.micro_batches_on(8) == 1 && Run::plan.micro_batches_on(2) == 4);
static_assert(Run::plan.memory({.ranks = 8, .batch = 16}).partial_sums == 0);
static_assert(Run::plan.memory({.ranks = 1, .batch = 128}).partial_sums < 4 * 80_KiB);

/// One number for all bits of all parameters.
std::uint64_t hash_of(const std::vector<NamedTensor>& parameters) {
  std::uint64_t hash = 14695981039346656037ull;
  for (const auto& p : parameters)
    for (const float value : p.values) {
      std::uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      hash = (hash ^ bits) * 1099511628211ull;
    }
  return hash;
}

int main(int argc, char** argv) {
  const auto train = [](auto& world) {
    const int rows = global_batch / world.size();  // this rank's, neighbours in the global batch
    auto run = Run::on(
        world, {.seed = 5, .batch = rows, .learning_rate = 3e-3, .clip = {.max_norm = 0.5}});
    std::vector<float> x(static_cast<std::size_t>(width * rows)), y(static_cast<std::size_t>(rows));
    for (int step = 1; step <= steps; ++step) {
      for (int i = 0; i < rows; ++i) {
        const auto row = static_cast<std::uint64_t>(step * global_batch + world.rank() * rows + i);
        float* to = &x[static_cast<std::size_t>(width * i)];
        for (int k = 0; k < width; ++k) to[k] = normal(3, static_cast<std::uint64_t>(k), row);
        y[static_cast<std::size_t>(i)] = to[0] * to[1];
      }
      const StepReport r = run.step({x.data(), {rows}}, {y.data(), {rows}});
      if (world.rank() == 0 && step % 25 == 0)
        std::printf("step %3d  loss %.17g  gradient norm %.17g\n", step, r.loss, r.grad_norm);
    }
    const auto parameters = run.gather_parameters();
    if (world.rank() != 0) return;
    std::printf("parameters %016llx\n", static_cast<unsigned long long>(hash_of(parameters)));
    std::fprintf(stderr, "%d ranks of %d rows, %s of partial sums on each\n", world.size(), rows,
                 readable_bytes(run.memory().partial_sums).c_str());
  };
  return launch<Threads>(argc, argv, train, {.ranks = 2});
}
