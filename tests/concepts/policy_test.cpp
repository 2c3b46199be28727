// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/concepts/policy_test.cpp: policies are empty types with a slot; slots find theirs anywhere.
#include <doctest/doctest.h>
#include <cohort/concepts/policy.hpp>
#include <cohort/policies/buckets.hpp>
#include <cohort/policies/clip_grad_norm.hpp>
#include <cohort/policies/grad_accum.hpp>

using namespace cohort;

namespace {
struct Clips {
  using slot = slots::clipping;
};
struct AlsoClips {
  using slot = slots::clipping;
};
struct Sums {
  using slot = slots::accumulation;
};
static_assert(Policy<Clips> && Policy<GradAccum<2>> && Policy<ClipGradNorm> && Policy<Buckets<>>);

struct NoSlot {};
struct SlotIsAValue {
  [[maybe_unused]] static constexpr int slot = 0;
};
struct HasState {
  using slot = slots::clipping;
  double maximum = 1;
};
static_assert(!Policy<NoSlot> && !Policy<SlotIsAValue> && !Policy<HasState>);
static_assert(!Policy<int> && !Policy<slots::clipping>);

static_assert(OnePolicyPerSlot<> && OnePolicyPerSlot<Clips> && OnePolicyPerSlot<Clips, Sums>);
static_assert(!OnePolicyPerSlot<Clips, AlsoClips> && !OnePolicyPerSlot<Clips, Sums, Clips>);
static_assert(num_in<slots::clipping, Clips, Sums, AlsoClips> == 2);
static_assert(num_in<slots::groups, Clips, Sums> == 0);

template <class... Ps> using clipping = policy_for<slots::clipping, NoClip, Ps...>;
static_assert(std::is_same_v<clipping<>, NoClip>);
static_assert(std::is_same_v<clipping<Sums>, NoClip>);
static_assert(std::is_same_v<clipping<Clips, Sums>, Clips>);
static_assert(std::is_same_v<clipping<Sums, Clips>, Clips>);
}  // namespace

// All of it is compile time; the test exists so that the law shows up by name.
TEST_CASE("policy: the order of a list does not change what a slot finds") {
  CHECK(std::is_same_v<clipping<Clips, Sums, Buckets<>>, clipping<Buckets<>, Sums, Clips>>);
}
