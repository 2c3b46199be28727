// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/tiny_step.cpp: a step of MLP 64-64-10 at batch 32, where overhead is all; run_tiny_step.py compares.
#include <cohort/cohort.hpp>

#include "step_server.hpp"

using namespace cohort;

using Model = nn::Sequential<nn::Linear<64, 64>, nn::ReLU<64>, nn::Linear<64, 10>>;
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, optim::AdamW>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv, [](auto& world) {
    constexpr int batch = 32;
    auto run = Run::on(world, {.seed = 1, .batch = batch});
    std::vector<float> x(batch * 64);
    std::vector<int> y(batch);
    for (int i = 0; i < batch * 64; ++i)
      x[i] = normal(1, static_cast<std::uint64_t>(world.rank()), i);
    for (int i = 0; i < batch; ++i) y[i] = i % 10;
    bench::serve(world, "{}", [&] { run.step({x.data(), {batch}}, {y.data(), {batch}}); });
  });
}
