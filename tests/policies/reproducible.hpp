// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/reproducible.hpp: what the tests of Reproducible share in both tiers.
#pragma once
#include "sharding.hpp"

namespace cohort::test {

/// A training with the bits of R ranks, K micro-batches each.
template <class Case, class How, int R, int K = 1, class... More>
using ReproducibleRun =
    ShardedRun<Case, How, K, KeepUnsharded, optim::AdamW, Reproducible<R>, More...>;

/// Reports, parameters and the last gradients. (An evaluation adds up in an order of its own.)
inline bool same_training(const Seen& a, const Seen& b) {
  if (a.reports.size() != b.reports.size()) return false;
  for (std::size_t i = 0; i < a.reports.size(); ++i)
    if (!same_bits(a.reports[i], b.reports[i])) return false;
  return same_bits(a.parameters, b.parameters) && same_bits(a.gradients, b.gradients);
}

/// The law: `expected` was trained on R ranks of `each` samples, and any number of ranks that R allows has
/// its bits with the same global batch.
template <class Run, class Case>
void check_bits_of(const Seen& expected, int each, std::initializer_list<int> rank_counts) {
  INFO(Case::name());
  constexpr int R = Run::slots::order::ranks;
  const int steps = static_cast<int>(expected.reports.size());
  CHECK_FALSE(same_bits(expected.start, expected.parameters));
  for (const int ranks : rank_counts) {
    CAPTURE(ranks);
    for (const StreamMode stream : both_streams) {
      const auto all = train_sharded<Run, Case>(
          {.ranks = ranks, .each = each * R / ranks, .steps = steps, .stream = stream});
      for (const Seen& seen : all) CHECK(same_training(seen, expected));
    }
  }
}
/// Against Replicate's training on R ranks.
template <class Case, class How, int R, int K, class... More>
void check_reproducible(int each, int steps, std::initializer_list<int> rank_counts) {
  using Replicated = ShardedRun<Case, Replicate, K, KeepUnsharded, optim::AdamW, More...>;
  const auto expected = train_sharded<Replicated, Case>({.ranks = R, .each = each, .steps = steps});
  check_bits_of<ReproducibleRun<Case, How, R, K, More...>, Case>(expected[0], each, rank_counts);
}

}  // namespace cohort::test
