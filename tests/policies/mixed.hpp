// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/mixed.hpp: trainings of every strategy in 16-bit types, compared bit for bit.
#pragma once
#include "sharding.hpp"

namespace cohort::test {

template <class Case, class How, int N, class... More>
using MixedRun = ShardedRun<Case, How, N, KeepUnsharded, optim::AdamW, More...>;

/// After 12 steps every rank of every strategy holds the bits that Replicate has, masters included.
template <class Case, int N, class... More, class... Hows>
void check_mixed(std::initializer_list<int> rank_counts, StreamMode stream,
                 std::type_identity<Hows>...) {
  INFO(Case::name());
  for (int ranks : rank_counts) {
    CAPTURE(ranks);
    const Setup setup{.ranks = ranks, .steps = 12, .stream = stream};
    const auto expected = train_sharded<MixedRun<Case, Replicate, N, More...>, Case>(setup);
    CHECK(all_same(expected, expected[0]));
    CHECK(expected[0].reports.back().step > 6);  // an fp16 scale may have to come down first
    CHECK_FALSE(same_bits(expected[0].start, expected[0].parameters));
    const auto like = [&]<class How>(std::type_identity<How>) {
      CHECK(all_same(train_sharded<MixedRun<Case, How, N, More...>, Case>(setup), expected[0]));
    };
    (like(std::type_identity<Hows>{}), ...);
  }
}
template <class Case, int N, class... More>
void check_mixed(std::initializer_list<int> rank_counts, StreamMode stream) {
  check_mixed<Case, N, More...>(rank_counts, stream, std::type_identity<ShardOptimizer>{},
                                std::type_identity<ShardGradients>{},
                                std::type_identity<FullShard>{});
}

inline bool fits_bf16(float x) { return float(bf16(x)) == x; }
/// The share of values that bf16 holds exactly: of fp32 values without structure 2^-16, beside zeros.
inline double share_in_bf16(const std::vector<NamedTensor>& tensors) {
  double fit = 0, all = 0;
  for (const NamedTensor& t : tensors)
    for (float x : t.values) fit += fits_bf16(x), ++all;
  return fit / all;
}

}  // namespace cohort::test
