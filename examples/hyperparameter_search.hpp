// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/hyperparameter_search.hpp: the search on any world: split, train in groups, gather, report.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/cohort.hpp>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "hyperparameter_search_arguments.hpp"

namespace example {

using namespace cohort;

using Model = nn::Sequential<nn::Linear<2, 32>, nn::Gelu<32>, nn::Linear<32, 1>>;
using Run = Trainer<Model, nn::MeanSquaredError<1>, DataParallel<Replicate>, optim::Sgd>;

constexpr int batch = 64;  // rows of a group's step, whatever its size: only the rate differs
constexpr double diverged = std::numeric_limits<double>::infinity();

/// Rows of x0 * x1 from `first` on.
struct Product {
  std::vector<float> x, y;
  Product(int rows, int first) {
    for (int i = first; i < first + rows; ++i) {
      const auto row = static_cast<std::uint64_t>(i);
      for (std::uint64_t k : {0, 1}) x.push_back(2 * uniform01(1, k, row) - 1);
      y.push_back(x[x.size() - 2] * x.back());
    }
  }
};

/// Trains on the ranks of a group; the loss on rows that no step has seen. All ranks of the group meet
/// a loss that is not finite in the same step; the other groups do not hear of it.
double loss_at(double rate, auto& group, int steps) {
  const int mine = batch / group.size();
  auto run = Run::on(
      group, {.seed = 1, .batch = mine, .learning_rate = rate, .optimizer = {.momentum = 0.9}});
  try {
    for (int step = 0; step < steps; ++step) {
      const Product rows(mine, step * batch + group.rank() * mine);
      run.step({rows.x.data(), {mine}}, {rows.y.data(), {mine}});
    }
  } catch (const NonFinite&) {
    return diverged;
  }
  const Product unseen(mine, -batch + group.rank() * mine);
  const double loss = run.evaluate({unseen.x.data(), {mine}}, {unseen.y.data(), {mine}}).mean();
  return std::isfinite(loss) ? loss : diverged;
}

/// Equal groups of ranks share the rates out among them, round by round.
void search(auto& world, const SearchArguments& a) {
  const int members = world.size() / a.groups;
  if (members * a.groups != world.size() || batch % members != 0)
    throw InvalidInput(-1, "search",
                       std::to_string(world.size()) + " ranks do not make " +
                           std::to_string(a.groups) + " equal groups whose size divides " +
                           std::to_string(batch) + " rows: give other --groups or --ranks.");
  const int mine = world.rank() / members;
  auto group = world.split(mine, world.rank());

  std::vector<double> losses(
      a.rates.size());  // zero where another rank speaks: the sum is the table
  for (int i = mine; i < static_cast<int>(a.rates.size()); i += a.groups) {
    const auto at = static_cast<std::size_t>(i);
    const double loss = loss_at(a.rates[at], group, a.steps);
    if (group.rank() == 0) losses[at] = loss;
  }
  world.all_reduce(losses.data(), losses.size());
  if (world.rank() != 0) return;

  std::printf("%d ranks in %d groups of %d, %d steps of %d rows\n", world.size(), a.groups, members,
              a.steps, batch);
  std::printf("learning rate  group  validation loss\n");
  for (std::size_t i = 0; i < losses.size(); ++i)
    std::printf("%13g  %5d  %15s\n", a.rates[i], static_cast<int>(i) % a.groups,
                losses[i] == diverged ? "diverged" : std::to_string(losses[i]).c_str());
  const auto best = std::min_element(losses.begin(), losses.end());
  if (*best == diverged)
    std::printf("every rate diverged: try lower ones\n");
  else
    std::printf("best: %g\n", a.rates[static_cast<std::size_t>(best - losses.begin())]);
}

}  // namespace example
