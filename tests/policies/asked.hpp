// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/asked.hpp: runs that are asked for other things than steps.
#pragma once
#include "sharding.hpp"

namespace cohort::test::asked {

using Case = zoo::NestedRepeatCase;
template <class How> using Two = ShardedRun<Case, How, 2>;

/// What one rank saw of a run that is also asked for other things than steps.
struct Answers {
  std::vector<LossSum> sums;
  std::vector<float> predicted;
  std::vector<NamedTensor> set, parameters, gradients;
};
inline bool same(const Answers& a, const Answers& b) {
  bool same = a.predicted == b.predicted && a.sums.size() == b.sums.size();
  for (std::size_t i = 0; same && i < a.sums.size(); ++i)
    same = a.sums[i].sum == b.sums[i].sum && a.sums[i].weight == b.sums[i].weight;
  return same && same_bits(a.set, b.set) && same_bits(a.parameters, b.parameters) &&
         same_bits(a.gradients, b.gradients);
}

/// Writes a parameter, and trains three steps. When asked, evaluates before each over rows that differ
/// by rank (0, 5, 3, 1: none, two micro-batches, one, a part of one) and predicts.
template <class How> std::vector<Answers> ask(int ranks, StreamMode stream, bool asks = true) {
  std::vector<Answers> all(static_cast<std::size_t>(ranks));
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    const Setup setup{.ranks = ranks, .stream = stream};
    auto run = Two<How>::on(world, options_of<Two<How>, Case>(setup));
    Answers& mine = all[static_cast<std::size_t>(world.rank())];
    const std::vector<float> values(16, 0.25f);
    run.set_parameter("1.1.1.2.inner.weight", values);
    mine.set = run.gather_parameters();
    for (int step = 0; step < 3; ++step) {
      const auto batch = batch_of<Case>(setup, step);
      const int first = world.rank() * setup.each;
      constexpr int rows[] = {0, 5, 3, 1};
      const int few = rows[(world.rank() + step) % 4];
      if (asks)
        mine.sums.push_back(
            run.evaluate(batch.x().samples(first, few), batch.y().samples(first, few)));
      if (asks) {
        const auto y = run.predict(batch.x().samples(first, 3));
        mine.predicted.insert(mine.predicted.end(), y.data, y.data + y.size());
      }
      run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each));
    }
    mine.parameters = run.gather_parameters();
    mine.gradients = run.gather_gradients();
  });
  return all;
}

template <class How> void check_answers(std::initializer_list<int> rank_counts) {
  for (int ranks : rank_counts) {
    CAPTURE(ranks);
    for (StreamMode stream : both_streams) {
      const auto expected = ask<Replicate>(ranks, stream), all = ask<How>(ranks, stream);
      const auto silent = ask<How>(ranks, stream, false);
      for (std::size_t r = 0; r < all.size(); ++r) {
        CHECK(same(all[r], expected[r]));
        CHECK(same_bits(silent[r].parameters, all[r].parameters));  // questions change no step
      }
      bool found = false;
      for (const NamedTensor& t : all[0].set)
        found |= t.name == "1.1.1.2.inner.weight" && t.values == std::vector<float>(16, 0.25f);
      CHECK(found);
    }
  }
}

}  // namespace cohort::test::asked
