// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/agreement.hpp: law 2 on a GPU that ranks share.
#pragma once
#include "support.hpp"

namespace cohort::test {

template <class Case, class How, class... Ps>
using RunOf =
    Trainer<typename Case::Model, typename Case::Loss, DataParallel<How>, ClipGradNorm, Ps...>;
template <class Case, class... Ps> void strategies_agree(int ranks, int steps, int each) {
  CAPTURE(ranks);
  const Setup setup{.ranks = ranks, .each = each, .steps = steps};
  const auto expected = train_on_gpu<RunOf<Case, Replicate, Ps...>, Case>(setup);
  CHECK(all_same(expected, expected[0]));
  CHECK(all_same(train_on_gpu<RunOf<Case, ShardOptimizer, Ps...>, Case>(setup), expected[0]));
  CHECK(all_same(train_on_gpu<RunOf<Case, ShardGradients, Ps...>, Case>(setup), expected[0]));
  CHECK(all_same(train_on_gpu<RunOf<Case, FullShard, Ps...>, Case>(setup), expected[0]));
}

}  // namespace cohort::test
