// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/cpu_step.hpp: one training step of nanoGPT's CPU model, or another of its size, served to a driver.
#pragma once
#include "../examples/gpt_model.hpp"
#include "step_server.hpp"

namespace bench {

using namespace cohort;
using NanoGpt = example::NanoGpt<65, 64, 4, 128, 4>;

/// Policies beside the common ones: the same optimizer step over the same rows, cut otherwise.
template <class Model, class... Policies> int serve_cpu_step(int argc, char** argv) {
  using Run = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, ClipGradNorm, optim::AdamW,
                      optim::WarmupCosine, Policies...>;
  return launch<Threads>(argc, argv, [](auto& world) {
    constexpr int batch = 12, tokens = 64, rows = batch * tokens;
    auto run = Run::on(
        world,
        {.seed = 1337,
         .batch = batch,
         .tokens = tokens,
         .optimizer = {.beta2 = 0.99, .weight_decay = 0.1},
         .schedule = {.warmup_steps = 100, .total_steps = 1 << 20, .min_learning_rate = 1e-4}});
    std::vector<int> x(rows), y(rows);
    std::uint64_t step = 0;
    serve(world, "{\"gemm\": \"tiled\"}", [&] {
      const auto place = step++ * 64 + static_cast<std::uint64_t>(world.rank());
      for (int i = 0; i < rows; ++i) x[i] = token(65, place, i), y[i] = token(65, place, i + 1);
      run.step(Tokens{x.data(), {batch, tokens}}, Tokens{y.data(), {batch, tokens}});
    });
  });
}

}  // namespace bench
