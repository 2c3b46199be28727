// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cpu.hpp: the CPU as a device: the tag that chooses the CPU bodies of ops.
#pragma once
#include <cohort/core/arena.hpp>
#include <cohort/core/host_device.hpp>
#include <cohort/device/traits.hpp>
#include <cstring>

namespace cohort {

/// A CPU core set on which one rank computes. Gemm is the matrix product it uses: a type with
/// `template <bool TransA, bool TransB, class T, class O> static void multiply(...)`, O the type of the
/// result (ops/gemm_*.hpp).
template <class Gemm> struct Cpu {
  using gemm = Gemm;
  using Memory = HostMemory;
  static void zero(void* at, std::size_t bytes) {
    if (bytes > 0) std::memset(at, 0, bytes);
  }
  static void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
};

#if !defined(__CUDACC__)  // there core/host_device.hpp declares it
struct DefaultGemm;       // ops/default_gemm.hpp
#endif
/// The CPU with matrix products that need no library beside this one.
using DefaultCpu = Cpu<DefaultGemm>;

}  // namespace cohort
