// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/custom_policy.cpp: an optimizer and a schedule of your own, under two strategies: the same bits.
#include <algorithm>
#include <cohort/cohort.hpp>
#include <cstdio>
#include <vector>

using namespace cohort;

// Signum: steps by the sign of the momentum (Bernstein et al. 2018, arXiv:1802.04434). A policy is an
// empty type with a slot and the hooks that the slot asks for: docs/writing_a_policy.md has the table.
struct Signum {
  using slot = slots::optimizer;
  struct Options {
    double momentum = 0.9, weight_decay = 0.0;
  };
  static constexpr int moments =
      1;  // arrays beside the parameters: the plan counts and shards them
  static constexpr const char* moment_names[] = {"momentum_buffer"};  // in checkpoints

  // A shard is a flat range of this rank, whole chunks of 64 elements; another one under each strategy.
  template <class D, class T>
  static void update(const D&, const Shard<T>& s, UpdateStep now, const Options& o) {
    using A = accumulator_t<T>;
    const A rate(now.learning_rate), scale(now.grad_scale), beta(o.momentum), decay(o.weight_decay);
    A* const m = s.moment(0);
    for (std::size_t i = 0; i < s.size; ++i) {
      m[i] = beta * m[i] + (1 - beta) * (scale * s.grads[i]);  // scale: batch's weight, clipping
      const A sign = A(m[i] > 0) - A(m[i] < 0);                // 0 for 0: padding stays zero
      s.params[i] -= rate * (sign + (s.decays[i / chunk] ? decay * s.params[i] : A(0)));
    }
  }
};
static_assert(Policy<Signum>);

// Warmup, then the full rate, then linearly to zero over the last fifth (arXiv:2404.06395).
struct WarmupStableDecay {
  using slot = slots::schedule;
  struct Options {
    double warmup_steps = 0, total_steps = 0;
  };
  static double at(std::int64_t step, double learning_rate, const Options& o) {  // the first is 1
    const double done = static_cast<double>(step), left = o.total_steps - done + 1;
    return learning_rate * std::min({1.0, done / (o.warmup_steps + 1), left / (o.total_steps / 5)});
  }
};
static_assert(Policy<WarmupStableDecay>);

using Block = nn::Residual<nn::Sequential<nn::Linear<32, 32>, nn::Gelu<32>>>;
using Model = nn::Sequential<nn::Linear<2, 32>, nn::Repeat<2, Block>, nn::Linear<32, 2>>;
template <class How, class Optimizer = Signum>
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<How>, Optimizer, WarmupStableDecay>;

// The plan knows the new optimizer's state: one moment where AdamW has two, and a half on 2 ranks.
constexpr Sizes two_ranks{.ranks = 2, .batch = 64};
constexpr auto state = [](auto plan) { return plan.memory(two_ranks).optimizer; };
static_assert(2 * state(Run<Replicate>::plan) == state(Run<Replicate, optim::AdamW>::plan));
static_assert(state(Run<FullShard>::plan) == Run<FullShard>::plan.shards.shard(2) * sizeof(float));

/// 200 steps on points inside and outside of a ring; returns the parameters, whole, on rank 0.
template <class How> std::vector<NamedTensor> train(auto& world, const char* name) {
  constexpr int batch = 64, steps = 200;
  auto run = Run<How>::on(world, {.seed = 7,
                                  .batch = batch,
                                  .learning_rate = 3e-3,
                                  .optimizer = {.weight_decay = 0.01},
                                  .schedule = {.warmup_steps = 10, .total_steps = steps}});
  std::vector<float> x(2 * batch);
  std::vector<int> y(batch);
  for (int step = 0; step < steps; ++step) {
    for (int i = 0; i < batch; ++i) {
      const auto row = static_cast<std::uint64_t>((step * world.size() + world.rank()) * batch + i);
      x[2 * i] = normal(2, 0, row);
      x[2 * i + 1] = normal(2, 1, row);
      const float radius = x[2 * i] * x[2 * i] + x[2 * i + 1] * x[2 * i + 1];
      y[i] = radius > 0.5f && radius < 2.0f;
    }
    const StepReport r = run.step({x.data(), {batch}}, {y.data(), {batch}});
    if (world.rank() == 0 && (step + 1) % 50 == 0)
      std::printf("%-9s  step %3d  loss %.4f  learning rate %.1e\n", name, step + 1, r.loss,
                  r.learning_rate);
  }
  return run.gather_parameters();
}

int main(int argc, char** argv) {
  std::printf("optimizer state a rank: %s replicated, %s sharded over 2 ranks\n",
              readable_bytes(state(Run<Replicate>::plan)).c_str(),
              readable_bytes(state(Run<FullShard>::plan)).c_str());
  return launch<Threads>(argc, argv,
                         [](auto& world) {
                           const auto whole = train<Replicate>(world, "Replicate");
                           const auto sharded = train<FullShard>(world, "FullShard");
                           if (world.rank() != 0) return;
                           bool same = true;
                           for (std::size_t i = 0; i < whole.size(); ++i)
                             same &= whole[i].values == sharded[i].values;
                           std::printf("parameters of both: %s\n",
                                       same ? "the same bits" : "DIFFERENT");
                         },
                         {.ranks = 2});
}
