// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/received.hpp: what ranks receive of a run's tensors.
#pragma once
#include <doctest/doctest.h>

#include <atomic>

#include "support.hpp"

namespace cohort::test {

template <class Frozen, class Strategy> void rank_0_alone() {
  using Sharded =
      Trainer<typename Frozen::Model, typename Frozen::Loss, DataParallel<Strategy>, optim::Sgd>;
  std::atomic<int> wrong{0}, kept{0};
  on_ranks<Sharded>(3, options_of<Sharded, Frozen>({.ranks = 3, .each = 2}),
                    [&](auto& run, World& world) {
                      const zoo::Batch<Frozen> batch(2);
                      run.step(batch.x(), batch.y());
                      const auto everywhere = run.gather_parameters();
                      const auto parameters = run.gather_parameters(Receivers::rank_0);
                      const auto sums = run.gather_gradients();
                      const auto gradients = run.gather_gradients(Receivers::rank_0);
                      if (world.rank() != 0) {
                        kept += !parameters.empty() || !gradients.empty();
                      } else {
                        wrong += !same_bits(parameters, everywhere);
                        wrong += !same_bits(gradients, sums);
                      }
                    });
  CHECK(wrong == 0);
  CHECK(kept == 0);
}

}  // namespace cohort::test
