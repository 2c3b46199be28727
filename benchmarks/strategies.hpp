// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/strategies.hpp: one training step of cpu_step's model under a strategy that is named at run time.
#pragma once
#include "../examples/gpt_model.hpp"
#include "step_server.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

namespace bench {

/// What a program measures, from its command line: NAME [--stream automatic|inline|worker] [--wire NS_PER_BYTE].
struct Choice {
  std::string strategy = "Replicate";
  cohort::StreamMode stream = cohort::StreamMode::automatic;
  double wire = 0;     // ns a byte that a rank sends takes on top
  int wire_ranks = 1;  // the ranks that bytes are counted for, at least
};
inline Choice parse(int argc, char** argv) {
  Choice choice;
  if (argc > 1) choice.strategy = argv[1];
  for (int i = 2; i + 1 < argc; ++i) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--stream" && value == "inline")
      choice.stream = cohort::StreamMode::on_compute_thread;
    if (name == "--stream" && value == "worker") choice.stream = cohort::StreamMode::worker;
    if (name == "--wire") choice.wire = std::atof(value.c_str());
  }
  return choice;
}

/// Calls f.operator()<How>() for the strategy of this name; false if it is none of them.
template <class... Hows, class F>
bool for_strategy(const std::string& name, const std::array<const char*, sizeof...(Hows)>& names,
                  F f) {
  std::size_t i = 0;
  return ((name == names[i++] && (f.template operator()<Hows>(), true)) || ...);
}

/// Serves steps of Run on the ranks of a world: 12 x 64 tokens a rank, as cpu_step.cpp has them.
template <class Run, class World> void serve_steps(World& world, const Choice& choice) {
  constexpr int batch = 12, tokens = 64, rows = batch * tokens;
  auto run = Run::on(
      world, {.seed = 1337,
              .batch = batch,
              .tokens = tokens,
              .optimizer = {.beta2 = 0.99, .weight_decay = 0.1},
              .schedule = {.warmup_steps = 100, .total_steps = 1 << 20, .min_learning_rate = 1e-4},
              .stream = choice.stream});
  std::vector<int> x(rows), y(rows);
  std::uint64_t step = 0;
  cohort::Sizes sizes = run.sizes();
  sizes.ranks = std::max(sizes.ranks, choice.wire_ranks);
  const std::string info = "{\"wire_bytes\": " + std::to_string(Run::plan.wire_bytes(sizes)) +
                           ", \"worker\": " + (run.has_worker() ? "true" : "false") + "}";
  serve(world, info, [&] {
    const auto place = step++ * 64 + static_cast<std::uint64_t>(world.rank());
    for (int i = 0; i < rows; ++i) x[i] = token(65, place, i), y[i] = token(65, place, i + 1);
    run.step(cohort::Tokens{x.data(), {batch, tokens}}, cohort::Tokens{y.data(), {batch, tokens}});
  });
}

/// The program: every strategy over a kind of world, HybridShard<2> among them.
template <class World> int strategies(int argc, char** argv) {
  using namespace cohort;
  using Model = example::NanoGpt<65, 64, 4, 128, 4>;
  const Choice choice = parse(argc, argv);
  return launch<World>(argc, argv, [&](auto& world) {
    const bool known =
        for_strategy<Replicate, ShardOptimizer, ShardGradients, FullShard, HybridShard<2>>(
            choice.strategy,
            {"Replicate", "ShardOptimizer", "ShardGradients", "FullShard", "HybridShard"},
            [&]<class How>() {
              serve_steps<Trainer<Model, nn::CrossEntropy, DataParallel<How>, ClipGradNorm,
                                  optim::AdamW, optim::WarmupCosine>>(world, choice);
            });
    if (!known) throw InvalidInput(-1, "strategies", "there is no strategy " + choice.strategy);
  });
}

}  // namespace bench
