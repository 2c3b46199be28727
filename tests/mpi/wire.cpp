// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/wire.cpp: trains for a number of steps and prints the bytes a step sends by the plan.
//
// Usage: wire Replicate|ShardOptimizer|ShardGradients|FullShard|HybridShard STEPS [each]
// Two micro-batches; with `each` their gradients are reduced one by one, else kept whole.
#include <cohort/mpi.hpp>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

using namespace cohort;

namespace {

constexpr int width = 256;
using Model =
    nn::Sequential<nn::Repeat<6, nn::Sequential<nn::Linear<width, width>, nn::ReLU<width>>>,
                   nn::Linear<width, 10>>;

template <class How, class Mode = KeepUnsharded> int train(int argc, char** argv) {
  using Run = Trainer<Model, nn::CrossEntropy, DataParallel<How>, GradAccum<2, Mode>>;
  return launch<Mpi>(argc, argv, [&](Mpi& world) {
    auto run = Run::on(world, {.batch = 4});
    const std::vector<float> x(4 * width, 0.5f);
    const std::vector<std::int32_t> y{0, 1, 2, 3};
    for (int step = 0; step < std::atoi(argv[2]); ++step) {
      run.step({x.data(), {4, 1}}, {y.data(), {4, 1}});
    }
    if (world.rank() == 0) std::printf("planned %zu bytes\n", Run::plan.wire_bytes(run.sizes()));
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view how = argc >= 3 ? argv[1] : "";
  const bool each = argc == 4 && std::string_view(argv[3]) == "each";
  if (how == "Replicate") return train<Replicate>(argc, argv);
  if (how == "ShardOptimizer") return train<ShardOptimizer>(argc, argv);
  if (how == "ShardGradients") {
    return each ? train<ShardGradients, ReduceEach>(argc, argv) : train<ShardGradients>(argc, argv);
  }
  if (how == "FullShard") {
    return each ? train<FullShard, ReduceEach>(argc, argv) : train<FullShard>(argc, argv);
  }
  if (how == "HybridShard") return train<HybridShard<2>>(argc, argv);
  std::fprintf(stderr,
               "usage: wire Replicate|ShardOptimizer|ShardGradients|FullShard|HybridShard STEPS "
               "[each]\n");
  return 2;
}
