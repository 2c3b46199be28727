// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/detect_anomaly_test.cpp: looking changes no bit, no collective, no memory, and costs no allocation.
#include <cohort/policies/detect_anomaly.hpp>

#include <doctest/doctest.h>

#include "looking.hpp"

using namespace cohort;
using namespace cohort::test;

static_assert(Fills<DetectAnomaly, slots::anomalies> && Fills<IgnoreAnomalies, slots::anomalies>);
static_assert(!OnePolicyPerSlot<DetectAnomaly, IgnoreAnomalies>);

namespace {

TEST_CASE("DetectAnomaly: the bits and the collectives of a run without it") {
  check_looking_changes_nothing<zoo::LittleFrozenCase, Replicate>(3);
  check_looking_changes_nothing<zoo::LittleFrozenCase, FullShard, 3>(2);
}

TEST_CASE("DetectAnomaly: no allocation inside a step") {
  check_looking_allocates_nothing<zoo::LittleFrozenCase>();
}

}  // namespace
