// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/chosen_test.cpp: lists of equal choices are one type, absent slots have their defaults.
#include <cohort/policies/chosen.hpp>

#include <cohort/optim/sgd.hpp>

#include <doctest/doctest.h>

using namespace cohort;

namespace {

template <class... Ps> using Chosen = detail::slots_of<detail::ChosenPolicies<Ps...>>;

TEST_CASE("slots: order and spelled-out defaults make no other type") {
  static_assert(
      std::is_same_v<Chosen<GradAccum<2>, ClipGradNorm>, Chosen<ClipGradNorm, GradAccum<2>>>);
  static_assert(std::is_same_v<Chosen<>, Chosen<DataParallel<Replicate>, GradAccum<1>, Eager>>);
  static_assert(std::is_same_v<Chosen<>, Chosen<NoScale, NoClip, NearestRounding, optim::AdamW>>);
  static_assert(!std::is_same_v<Chosen<>, Chosen<CudaGraph>>);
  static_assert(std::is_same_v<Chosen<>, Chosen<NoProfile>>);
  static_assert(std::is_same_v<Chosen<Timed, GradAccum<2>>, Chosen<GradAccum<2>, Timed>>);
  using All =
      Chosen<DataParallel<FullShard>, GradAccum<4>, MixedPrecision<bf16, fp32>, ClipGradNorm,
             Buckets<1, 2>, Groups<One>, optim::Sgd, optim::WarmupCosine, CudaGraph>;
  static_assert(std::is_same_v<All::data, DataParallel<FullShard>>);
  static_assert(std::is_same_v<All::optimizer, optim::Sgd>);
  CHECK(All::accumulation::micro_batches == 4);
  CHECK(std::is_same_v<All::schedule, optim::WarmupCosine>);
}

}  // namespace
