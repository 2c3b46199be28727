// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/looking.hpp: a run that looks for anomalies beside one that does not.
#pragma once
#include <cohort/policies/detect_anomaly.hpp>
#include <optional>

#include "sharding.hpp"

namespace cohort::test {

template <class Case, class How, int N = 1, class Mode = KeepUnsharded, class... More>
void check_looking_changes_nothing(int ranks) {
  CAPTURE(ranks);
  using Plain = ShardedRun<Case, How, N, Mode, optim::AdamW, More...>;
  using Looks = ShardedRun<Case, How, N, Mode, optim::AdamW, More..., DetectAnomaly>;
  using A = typename Plain::plan_type;
  using B = typename Looks::plan_type;
  static_assert(A::num_collectives() == B::num_collectives());
  // To look at the output after the loss was taken, its gradient lies beside it.
  constexpr std::size_t output =
      A::loss_in_place
          ? Case::Model::Output::template bytes<typename A::compute>({64 / A::micro_batches, 4})
          : 0;
  static_assert(A::peak_bytes({8, 64, 4}) + output == B::peak_bytes({8, 64, 4}));
  static_assert(A::wire_bytes({8, 64, 4}) == B::wire_bytes({8, 64, 4}));
  static_assert(A::hash() != B::hash());
  const Setup setup{.ranks = ranks, .steps = 4};
  const auto expected = train_sharded<Plain, Case>(setup);
  const auto seen = train_sharded<Looks, Case>(setup);
  for (std::size_t r = 0; r < seen.size(); ++r) {
    CHECK(same_bits(seen[r], expected[r]));
    CHECK((seen[r].calls == expected[r].calls));
  }
}

/// Three steps of two ranks take no memory.
template <class Case> void check_looking_allocates_nothing() {
  if (!Allocations::available) return;
  using Run = ShardedRun<Case, FullShard, 3, KeepUnsharded, optim::AdamW, DetectAnomaly>;
  launch<Threads>({.ranks = 2}, [](Threads& world) {
    const Setup setup{.ranks = 2};
    auto run = Run::on(world, options_of<Run, Case>(setup));
    const auto batch = batch_of<Case>(setup, 0);
    const auto step = [&] { run.step(batch.x().samples(0, 6), batch.y().samples(0, 6)); };
    step();
    static std::optional<Allocations> count;
    world.barrier();
    if (world.rank() == 0) count.emplace();
    world.barrier();
    for (int i = 0; i < 3; ++i) step();
    world.barrier();
    if (world.rank() == 0) {
      count->stop();
      CHECK_MESSAGE(count->all_threads().count == 0, count->report());
      count.reset();
    }
    world.barrier();
  });
}

}  // namespace cohort::test
