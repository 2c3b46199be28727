// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/capture_test.cpp: the slot of capture and its default.
#include <cohort/policies/capture.hpp>

#include <doctest/doctest.h>

#include <cohort/cohort.hpp>

using namespace cohort;

static_assert(Fills<CudaGraph, slots::capture> && Fills<Eager, slots::capture>);
static_assert(!OnePolicyPerSlot<CudaGraph, Eager>);

namespace {

using Model = nn::Linear<4, 2>;
template <class... Ps> using Run = Trainer<Model, nn::MeanSquaredError<2>, Ps...>;

TEST_CASE("CudaGraph: Eager is the default, and the plan is the same with either") {
  static_assert(std::is_same_v<Run<>::slots::capture, Eager>);
  static_assert(std::is_same_v<Run<Eager>::plan_type, Run<>::plan_type>);
  static_assert(Run<CudaGraph>::slots::capture::captures);
  CHECK(Run<CudaGraph>::plan.hash() == Run<>::plan.hash());
}

}  // namespace
