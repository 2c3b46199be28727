// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/place.hpp: where the numbers of a tensor or a parameter lie, as a type.
#pragma once
#include <cohort/core/said.hpp>
#include <type_traits>

namespace cohort {

/// Memory that the host reads and writes: what layers get on a CPU.
struct OnHost {};
/// A GPU's memory: what layers get on Cuda. Only kernels go there.
struct OnGpu {};

namespace detail {
template <class Device> struct place { using type = OnHost; };  // device/traits.hpp has Cuda's

template <class Where> struct NotOnTheHost {
  static void say() {
    static_assert(never<Where>,
                  "cohort: map(), wide() and assign() are for the host, and this tensor, parameter "
                  "or gradient lies in a GPU's memory. Call functions of cohort::ops with "
                  "ctx.device(), or launch a kernel over its data. [docs/gpu.md]");
  }
};
}  // namespace detail

/// Where a device computes: OnHost or OnGpu.
template <class Device> using place_of = typename detail::place<Device>::type;

}  // namespace cohort
