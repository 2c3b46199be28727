// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/journeys.hpp: a state that passes from strategy to strategy, and runs that go on from one.
#pragma once
#include "checkpoints.hpp"

namespace cohort::test {

/// Passes one state from way to way; each must write what it read. Together the stops have every strategy
/// as reader and as writer, worlds that grow and shrink, and shards of other sizes.
template <class Case, class... More> void check_chain() {
  INFO(std::string(Case::name()));
  const TemporaryDirectory dir;
  const auto ways = all_ways<Case, More...>();
  const Arrival start = ways[0].travel({.ranks = 1, .to = dir.path() / "0", .steps = 3});
  const SavedState state = saved_state(dir.path() / "0");
  CHECK(state.tensors.size() > 3);
  CHECK(state.facts.at("step") == "3");
  CHECK(state.facts.at("data_samples") == "15");
  const std::pair<int, int> stops[] = {{3, 3}, {1, 2}, {4, 4}, {2, 3}, {0, 2}, {3, 8},
                                       {4, 2}, {1, 1}, {3, 4}, {2, 8}, {0, 3}};
  int number = 0;
  for (const auto& [w, ranks] : stops) {
    const Way& way = ways[static_cast<std::size_t>(w)];
    INFO("stop " << number << ": " << way.name << " on " << ranks);
    const fs::path from = dir.path() / std::to_string(number),
                   to = dir.path() / std::to_string(++number);
    const Arrival arrival = way.travel(
        {.ranks = ranks, .from = from, .to = to, .seed = 1234, .async = number % 2 == 0});
    CHECK(same_bits(arrival.parameters, start.parameters));
    CHECK(arrival.loaded.step == 3);
    CHECK(arrival.loaded.data == data::Position{2, 15});
    CHECK(arrival.loaded.notes.at("best") == "1.25");
    CHECK((saved_state(to).tensors == state.tensors));
    CHECK(saved_state(to).facts.at("seed") == "7");
  }
}

/// Trains `first` steps, then others up to `all`, through a checkpoint, and all without; b continues what a
/// began. Returns the whole run.
inline Arrival check_resumed(const Way& a, const Way& b, int ranks, int first = 3, int all = 6) {
  INFO(a.name << " to " << b.name << " on " << ranks);
  const TemporaryDirectory dir;
  const Arrival whole = a.travel({.ranks = ranks, .steps = all});
  a.travel({.ranks = ranks, .to = dir.path(), .steps = first});
  const Arrival rest =
      b.travel({.ranks = ranks, .from = dir.path(), .steps = all - first, .seed = 99});
  CHECK(same_bits(rest.reports, {whole.reports.begin() + first, whole.reports.end()}));
  CHECK(same_bits(rest.parameters, whole.parameters));
  return whole;
}

/// Among them one that goes on under another strategy, where that has the same bits.
template <class Case> void check_resumed_runs() {
  const auto ways = all_ways<Case, MixedPrecision<bf16, fp32>>();
  check_resumed(ways[0], ways[0], 2);
  check_resumed(ways[3], ways[3], 3);
  check_resumed(ways[1], ways[3], 2);
  check_resumed(ways[3], ways[0], 3);
  check_resumed(ways[4], ways[4], 4);
}

}  // namespace cohort::test
