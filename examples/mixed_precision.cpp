// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/mixed_precision.cpp: one training in fp32, bf16 and fp16: bytes, time and loss side by side.
#include <chrono>
#include <cohort/cohort.hpp>
#include <cstdio>
#include <vector>

using namespace cohort;

constexpr int width = 256, batch = 128, inputs = 16, steps = 60;
using Block = nn::Residual<nn::Sequential<nn::LayerNorm<width>, nn::LinearGelu<width, width>>>;
using Model = nn::Sequential<nn::Linear<inputs, width>, nn::Repeat<4, Block>, nn::Linear<width, 2>>;
template <class... Precision>
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, optim::AdamW, Precision...>;

using Fp32 = Run<>;
using Bf16 = Run<MixedPrecision<bf16, fp32>>;  // compute in bf16, update fp32 masters
using Fp16 = Run<MixedPrecision<fp16, fp32>, DynamicLossScale<>>;  // fp16 underflows unscaled

// What 16 bits halve is known before anything runs; the state that they cannot halve is known too.
constexpr Sizes sizes{.ranks = 2, .batch = batch};
constexpr MemoryBytes full = Fp32::plan.memory(sizes), half = Bf16::plan.memory(sizes);
static_assert(half.parameters * 2 == full.parameters && half.masters == full.parameters);
static_assert(half.optimizer == full.optimizer && half.gradients == full.gradients);
static_assert(half.activations < 0.6 * full.activations);
static_assert(Bf16::plan.wire_bytes(sizes) < 0.51 * Fp32::plan.wire_bytes(sizes));
static_assert(Fp16::plan.peak_bytes(sizes) == Bf16::plan.peak_bytes(sizes));

/// Two classes, by the sign of a product of features; rows that no other rank has.
void fill(std::vector<float>& x, std::vector<int>& y, int first) {
  for (int i = 0; i < batch; ++i) {
    for (int k = 0; k < inputs; ++k)
      x[inputs * i + k] = normal(4, k, static_cast<std::uint64_t>(first + i));
    y[i] = x[inputs * i] * x[inputs * i + 1] > 0;
  }
}

/// Trains and prints a line of the table. Plans speak of one rank.
template <class Run> void train(auto& world, const char* name) {
  auto run = Run::on(world, {.seed = 11, .batch = batch, .learning_rate = 2e-3});
  std::vector<float> x(inputs * batch);
  std::vector<int> y(batch);
  double seconds = 0, loss = 0;
  int skipped = 0;
  for (int step = 0; step < steps; ++step) {
    fill(x, y, (step * world.size() + world.rank()) * batch);
    const auto begin = std::chrono::steady_clock::now();
    const StepReport r = run.step({x.data(), {batch}}, {y.data(), {batch}});
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    skipped += r.skipped;  // gradients overflowed: the loss scale was halved, nothing was updated
    if (step >= steps - 10) loss += r.loss / 10;
  }
  if (world.rank() != 0) return;
  const MemoryBytes m = run.memory();
  std::printf("%-5s  %10s  %10s  %11s  %10s  %7.2f  %7d  %9.4f\n", name,
              readable_bytes(m.parameters).c_str(), readable_bytes(m.masters).c_str(),
              readable_bytes(m.activations).c_str(),
              readable_bytes(Run::plan.wire_bytes(run.sizes())).c_str(), 1e3 * seconds / steps,
              skipped, loss);
}

int main(int argc, char** argv) {
  const auto compare = [](auto& world) {
    if (world.rank() == 0)
      std::printf("%-5s  %10s  %10s  %11s  %10s  %7s  %7s  %9s\n", "", "parameters", "masters",
                  "activations", "sent", "ms/step", "skipped", "last loss");
    train<Fp32>(world, "fp32");
    train<Bf16>(world, "bf16");
    train<Fp16>(world, "fp16");
  };
  return launch<Threads>(argc, argv, compare, {.ranks = 2});
}
