// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/capture.hpp: the launches of a step captured once and replayed.
#pragma once
#include <cohort/concepts/policy.hpp>

namespace cohort {

/// The first step of a size runs as it is, the second is captured into a CUDA graph, the others replay it:
/// one launch by the host instead of hundreds. A step of another size runs as it is.
///
/// Cost     for steps whose kernels are long nothing is gained; for small models or GPUs that wait for
///          the host, the launches.
/// Errors   compile time: on the CPU there is nothing to capture. Run time: InvalidInput when several
///          Threads ranks share the GPU, whose graphs could not wait for each other.
/// Laws     the bits of Eager (tests/run/cuda/capture_test.cpp).
struct CudaGraph {
  using slot = slots::capture;
  static constexpr bool captures = true;
};

/// The default of the slot: every step is launched kernel by kernel.
struct Eager {
  using slot = slots::capture;
  static constexpr bool captures = false;
};

static_assert(Policy<CudaGraph> && Policy<Eager>);

}  // namespace cohort
