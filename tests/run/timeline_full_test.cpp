// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/timeline_full_test.cpp: spans of further policies.
#include <doctest/doctest.h>

#include "spans.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace spans;

namespace {

TEST_CASE("Traced: spans are the plan's program, further models and policies [full]") {
  for (const StreamMode stream : both) {
    check_spans<RunOf<TiedGptCase, Traced<>, GradAccum<3>>, TiedGptCase>(stream);
    check_spans<RunOf<GptCase, Traced<>>, GptCase>(stream);
    check_spans<RunOf<GptCase, Traced<>, DataParallel<FullShard>, GradAccum<2>>, GptCase>(stream);
    check_spans<RunOf<GptCase, Traced<>, DataParallel<ShardOptimizer>>, GptCase>(stream);
  }
}

}  // namespace
