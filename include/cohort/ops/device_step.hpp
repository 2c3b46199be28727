// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/device_step.hpp: what an optimizer on a GPU reads of its step from device memory, and how it rounds.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/core/host_device.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort::ops {

/// One step's constants where kernels find them, so that the host need not wait for a gradient norm.
/// S is AdamStep<A> or SgdStep<A>. Made on the host or by a kernel.
///
/// Units    number: of the step, from 1; it chooses the random bits. skip != 0: nothing is written.
template <class S> struct DeviceStep {
  S step;
  std::int64_t number = 0;
  std::int32_t skip = 0;
};

/// Parameters without masters are rounded to nearest, ties to even.
struct NearestRounding {};

/// Parameters without masters are rounded at random: bf16 only.
///
/// Units    chunk_numbers: in device memory, one for each chunk of 64 that this rank updates; `first`: where
///          the shard begins among them, in elements, whole chunks. Element i of the shard takes the bits
///          of element 64 chunk_numbers[(first + i) / 64] + i % 64 in the stream of the step.
struct RandomRounding {
  std::uint64_t seed;
  const std::uint32_t* chunk_numbers;
  std::size_t first;
};

}  // namespace cohort::ops
