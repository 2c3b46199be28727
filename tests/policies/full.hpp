// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/full.hpp: what the full tier asks of every strategy.
#pragma once
#include "sharding.hpp"

namespace cohort::test {

template <class How> constexpr bool fits_world(int ranks) {
  return How::shard_ranks == 0 || ranks % How::shard_ranks == 0;
}

/// Law 2: Replicate's bits for every model, number of ranks, of micro-batches and stream. Law 5: for
/// every model and number of ranks the planned calls and bytes on the wire, and the planned heap. Law
/// 7: random delays of many calls; one call late, for each call and rank; late updates.
template <class How> void check_matrix() {
  SUBCASE("law 2, 1 micro-batch") { check_law_2<How, 1>(); }
  SUBCASE("law 2, 2 micro-batches") { check_law_2<How, 2>(); }
  SUBCASE("law 2, 3 micro-batches") { check_law_2<How, 3>(); }
  SUBCASE("law 5") {
    for_each_sharded_case([]<class Case>() {
      INFO(Case::name());
      using Run = ShardedRun<Case, How, fast_micro_batches<Case>>;
      for (int ranks : law_rank_counts) {
        if (!fits_world<How>(ranks)) continue;
        check_tape<Run, Case>(ranks);
        check_heap<Run, Case>(ranks);
      }
    });
  }
  SUBCASE("law 7") {
    for_each_sharded_case([]<class Case>() {
      INFO(Case::name());
      using Run = ShardedRun<Case, How, fast_micro_batches<Case>>;
      for (int ranks : law_rank_counts)
        if (fits_world<How>(ranks)) check_delays<Run, Case>(ranks, 5);
    });
    const int ranks = How::shard_ranks > 3 ? How::shard_ranks : How::shard_ranks == 2 ? 4 : 3;
    check_each_call_late<ShardedRun<zoo::NestedRepeatCase, How, 2>, zoo::NestedRepeatCase>(ranks);
    check_each_call_late<ShardedRun<zoo::PartlyFrozenCase, How, 2>, zoo::PartlyFrozenCase>(ranks);
    check_late_updates<zoo::PartlyFrozenCase, How, 2>(ranks);
    check_late_updates<zoo::HugeAndTinyCase, How, 1>(ranks);
  }
}

}  // namespace cohort::test
