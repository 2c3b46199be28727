// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/capture.hpp: how the work of a step reaches the device: here by doing it.
#pragma once
#include <cohort/device/traits.hpp>
#include <cohort/policies/capture.hpp>

namespace cohort::detail {

/// Queues a step. run/cuda/capture.hpp has the GPU's, with graphs.
template <class Plan, class Machine, class Device> class Capture {
 public:
  explicit Capture(const Machine&) {}
  template <class Size, class F> void operator()(const Size&, F queue) { queue(); }
  /// The next step is queued anew: something that a graph holds by value has changed.
  static void forget() {}
};

}  // namespace cohort::detail
