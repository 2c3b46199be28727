// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// test_package/test_package.cpp: two ranks, threads of this process, train for a step.
#include <cohort/cohort.hpp>
#include <cstdio>
#include <vector>

using namespace cohort;

using Model = nn::Sequential<nn::Linear<2, 8>, nn::Gelu<8>, nn::Linear<8, 1>>;
using Run = Trainer<Model, nn::MeanSquaredError<1>, DataParallel<Replicate>, optim::AdamW>;

int main(int argc, char** argv) {
  return launch<Threads>(argc, argv,
                         [](auto& world) {
                           auto run = Run::on(world, {.seed = 1, .batch = 4});
                           const std::vector<float> x(8, 0.5f), y(4, 0.25f);
                           const StepReport report = run.step({x.data(), {4}}, {y.data(), {4}});
                           if (world.rank() == 0) {
                             std::printf("step %d of %d ranks: loss %.6f\n",
                                         static_cast<int>(report.step), world.size(), report.loss);
                           }
                         },
                         {.ranks = 2});
}
