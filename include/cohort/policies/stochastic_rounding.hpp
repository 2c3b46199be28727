// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/stochastic_rounding.hpp: how updated parameters are rounded that have no masters.
#pragma once
#include <cohort/concepts/policy.hpp>

namespace cohort {

/// For MixedPrecision<bf16, bf16>: an updated parameter is rounded down or up at random, up with the
/// probability of the part that rounding down drops. Its mean is the fp32 result, so that updates too
/// small for one step of bf16 are not lost.
///
/// Laws     the random bits belong to (seed, step, element): the same parameters under every strategy, and
///          when a run is repeated (tests/policies/stochastic_rounding_test.cpp).
/// Errors   compile time: with fp32 masters there is nothing to round.
/// Source   Gupta et al. 2015, arXiv:1502.02551.
struct StochasticRounding {
  using slot = slots::rounding;
  static constexpr bool at_random = true;
};

/// The default of the slot: to nearest, ties to even.
struct NearestRounding {
  using slot = slots::rounding;
  static constexpr bool at_random = false;
};

static_assert(Policy<StochasticRounding> && Policy<NearestRounding>);

}  // namespace cohort
