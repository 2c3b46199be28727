// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/detect_anomaly.hpp: names where a NaN or an infinity began: rank, micro-batch, parameter, element.
#pragma once
#include <cohort/concepts/policy.hpp>

namespace cohort {

/// Looks at every unit's gradients before they are summed over ranks, when it is still known whose they
/// are, at what the unit passes back and at the loss; where the loss is no number, at the rows and at each
/// unit's output. What it found first is said by the NonFinite that ends the step, on every rank the same.
///
/// Units    nothing is judged that does no harm: an output that is infinite while the loss is finite, or
///          an overflow that DynamicLossScale skips, is no finding.
/// Comm     none in a step that succeeds. In one that fails each rank's finding goes to all.
/// Cost     one read of each micro-batch's gradients and of what units pass back; a pointer a unit, and the
///          memory of the loss's gradient, which then does not overwrite the output; no allocation.
///          Without it: nothing.
/// Errors   NonFinite also where no policy needs the norm, before the update: without this policy such a
///          gradient is noticed by the loss of the next step. Compile time: on a GPU.
/// Laws     the bits of a run without it (tests/policies/detect_anomaly_test.cpp).
/// Source   torch.autograd.set_detect_anomaly looks at one process; Megatron-LM's check of buckets before
///          their reduction names the rank.
struct DetectAnomaly {
  using slot = slots::anomalies;
  static constexpr bool detects = true;
};

/// The default of the slot: a loss or a norm that is no number ends the run, wherever it came from.
struct IgnoreAnomalies {
  using slot = slots::anomalies;
  static constexpr bool detects = false;
};

static_assert(Policy<DetectAnomaly> && Policy<IgnoreAnomalies>);

}  // namespace cohort
