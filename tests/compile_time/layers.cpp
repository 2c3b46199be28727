// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_time/layers.cpp: a sharded GPT of LAYERS layers, a number given on the command line.
#include "gpt_model.hpp"

using namespace cohort;
using Run = Trainer<example::Gpt<256, 64, LAYERS, 128, 4>, nn::CrossEntropy,
                    DataParallel<FullShard>, ClipGradNorm, optim::AdamW>;
static_assert(Run::plan.hash() != 0);

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    auto run = Run::on(world, {.batch = 1, .tokens = 64});
    const std::vector<int> ids(64, 7);
    run.step(Tokens{ids.data(), {1, 64}}, Tokens{ids.data(), {1, 64}});
  });
}
