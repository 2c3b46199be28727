// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/buckets_test.cpp: how gradients are cut into collectives changes no bit of them.
#include <cohort/policies/buckets.hpp>

#include <doctest/doctest.h>

#include "tied.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Policy<Buckets<>> && Policy<Buckets<1, 1>>);
static_assert(SizesAboveZero<1, 1> && !SizesAboveZero<0, 1> && !SizesAboveZero<1, 0>);
static_assert(Buckets<>::first_bytes == 1_MiB && Buckets<>::cap_bytes == 25_MiB);  // PyTorch DDP's

namespace {

using namespace tied;
template <class B> using RunOf = BucketsRun<B>;

TEST_CASE("Buckets: every element is in one bucket; limits close a bucket after the append") {
  using Single = RunOf<Buckets<1, 1>>::plan_type;
  using Some = RunOf<Buckets<1024, 4096>>::plan_type;
  using Whole = RunOf<Buckets<>>::plan_type;
  static_assert(Single::buckets.count == Single::layout.num_params);
  static_assert(Whole::buckets.count == 1 && Whole::buckets[0].count() == Whole::layout.size);
  std::size_t end = Some::layout.size;
  for (int b = 0; b < Some::buckets.count; ++b) {  // reverse order, without gaps
    const Bucket& bucket = Some::buckets[b];
    CHECK(bucket.end == end);
    end = bucket.begin;
    const std::size_t limit = (b == 0 ? 1024 : 4096) / sizeof(float);
    if (b + 1 < Some::buckets.count) CHECK(bucket.count() >= limit);
    // Without the parameter that was appended last it was below the limit.
    for (const ParamInfo& p : Some::layout.params)
      if (p.offset == bucket.begin) CHECK(bucket.count() - p.padded < limit);
  }
  CHECK(end == 0);
}

TEST_CASE("Buckets: one bucket, several, and one a parameter give the same bits") {
  for (int ranks : {1, 2, 3, 5}) {
    const Setup setup{.ranks = ranks, .each = 2, .steps = 5};
    const auto whole = train<RunOf<Buckets<>>, Case>(setup);
    const auto some = train<RunOf<Buckets<1024, 4096>>, Case>(setup);
    const auto each = train<RunOf<Buckets<1, 1>>, Case>(setup);
    CHECK(all_same(some, whole[0]));
    CHECK(all_same(each, whole[0]));
    CHECK(all_same(whole, whole[0]));
  }
}

template <class Run> void check_calls() {
  std::vector<Collective> expected;
  for (const Bucket* b = Run::plan_type::buckets.at.data();
       b != Run::plan_type::buckets.at.data() + Run::plan_type::buckets.count; ++b)
    expected.push_back({CollectiveKind::all_reduce, DType::f32, b->count(), 0});
  expected.push_back({CollectiveKind::all_reduce, DType::f64, 2, 0});  // loss and weight
  CHECK(planned_calls<Run>() == expected);
  for (const Trace& trace : train<Run, Case>({.ranks = 3, .each = 1}))
    CHECK(trace.calls == expected);
}

TEST_CASE("Buckets: one all-reduce a bucket in order of backward, then the loss") {
  check_calls<RunOf<Buckets<>>>();
  check_calls<RunOf<Buckets<1024, 4096>>>();
  check_calls<RunOf<Buckets<1, 1>>>();
}

}  // namespace
