// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cpu.hpp: the CPU as a device: the tag that chooses the CPU bodies of ops.
#pragma once

namespace cohort {

/// A CPU core set on which one rank computes. Gemm is the matrix product it uses: a type with
/// `template <bool TransA, bool TransB, class T, class O> static void multiply(...)`, O the type of the
/// result (ops/gemm_*.hpp).
template <class Gemm> struct Cpu { using gemm = Gemm; };

struct DefaultGemm;                   // ops/default_gemm.hpp
using DefaultCpu = Cpu<DefaultGemm>;  // needs no library beside this one

}  // namespace cohort
