// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/package/consumer/main.cpp: a program of somebody else: two ranks train one step.
#include <cohort/cohort.hpp>
#include <cstdio>
using namespace cohort;

using Model = nn::Sequential<nn::Linear<2, 8>, nn::ReLU<8>, nn::Linear<8, 1>>;
using Run = Trainer<Model, nn::MeanSquaredError<1>, optim::Sgd>;

int main(int argc, char** argv) {
  const auto train = [](auto& world) {
    auto run = Run::on(world, {.seed = 1, .batch = 2, .learning_rate = 0.1});
    const float x[] = {0, 1, 1, 0}, y[] = {1, 0};
    const float loss = run.step({x, {2}}, {y, {2}}).loss;
    if (world.rank() == 0) std::printf("%d ranks trained, loss %.3f\n", world.size(), loss);
  };
  return launch<Threads>(argc, argv, train, {.ranks = 2});
}
