// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/profiling_test.cpp: the slot, its default, and the memory of spans in the plan.
#include <cohort/policies/profiling.hpp>

#include <doctest/doctest.h>

#include <cohort/plan/print.hpp>
#include <sstream>

#include "sharding.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Fills<NoProfile, slots::profiling> && Fills<Timed, slots::profiling>);
static_assert(Fills<Traced<>, slots::profiling> && Fills<Traced<1>, slots::profiling>);
static_assert(!OnePolicyPerSlot<Timed, Traced<>>);
static_assert(AtLeastOneSpan<1> && !AtLeastOneSpan<0>);

namespace {

using zoo::GptCase;
template <class... Ps> using Run = Trainer<GptCase::Model, GptCase::Loss, Ps...>;

TEST_CASE("profiling: NoProfile is the default; the plan differs in the bytes of spans only") {
  static_assert(std::is_same_v<Run<>::slots::profiling, NoProfile>);
  static_assert(std::is_same_v<Run<NoProfile>::plan_type, Run<>::plan_type>);
  static_assert(std::is_empty_v<detail::Timeline<Run<>::plan_type>>);
  constexpr Sizes sizes{.ranks = 2, .batch = 4, .tokens = 4};
  CHECK(Run<Timed>::plan.peak_bytes(sizes) == Run<>::plan.peak_bytes(sizes));
  CHECK(Run<Traced<100>>::plan.memory(sizes).trace == 2 * 100 * 32);
  CHECK(Run<Traced<1>>::plan.memory(sizes).trace == 64);
  CHECK(Run<Traced<>>::plan.peak_bytes(sizes) == Run<>::plan.peak_bytes(sizes) + (2 << 16) * 32);
  CHECK(Run<Traced<>>::plan.hash() == Run<>::plan.hash());
}

TEST_CASE("print: the spans are a line of the memory of a run that keeps them") {
  const auto printed = [](auto plan) {
    std::ostringstream out;
    print(plan, {.ranks = 2, .batch = 4, .tokens = 4}, out);
    return out.str();
  };
  CHECK(printed(Run<Traced<>>::plan).find("trace                  4194304 B") != std::string::npos);
  CHECK(printed(Run<Timed>::plan).find("trace") == std::string::npos);
}

TEST_CASE("Traced: the heap of a run is the planned peak, and steps take no memory") {
  using Replicated = Run<Traced<100>, ClipGradNorm>;
  using Sharded = Run<Traced<7>, DataParallel<FullShard>, GradAccum<2>>;
  check_heap<Replicated, GptCase>(2);
  check_heap<Sharded, GptCase>(2);
  check_steps_allocate_nothing<Replicated, GptCase>(2);
  check_steps_allocate_nothing<Sharded, GptCase>(2);
  check_steps_allocate_nothing<Run<Timed>, GptCase>(2);
}

}  // namespace
