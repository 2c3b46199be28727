// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/traits.hpp: what plans must know of a device whose headers they do not include.
#pragma once
#include <cohort/core/place.hpp>
#include <cstddef>

namespace cohort {

struct Cuda;  // device/cuda/device.hpp; ops/*.hpp declare what ops/cuda/*.hpp define for it
template <> struct detail::place<Cuda> { using type = OnGpu; };

/// Can the host read and write what the device computes with?
template <class Device> inline constexpr bool on_host = std::is_same_v<place_of<Device>, OnHost>;

/// Bytes of memory that ops may use on the compute stream of a device, one op at a time: matrix products
/// and the partial sums of reductions. CPU ops take theirs from the thread.
template <class Device> inline constexpr std::size_t workspace_bytes = 0;
template <> inline constexpr std::size_t workspace_bytes<Cuda> = std::size_t{32} << 20;

/// Bytes in which a device keeps what a step needs to know of the last one, so that the host need not.
template <class Device> inline constexpr std::size_t state_bytes = 0;
template <> inline constexpr std::size_t state_bytes<Cuda> = 4096;

}  // namespace cohort
