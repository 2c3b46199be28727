// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/runtime.hpp: programs that nvcc compiled, on the CPU: what their kernels did.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <support/ptx/machine.hpp>

/// With support/cuda_double this replaces libcudart for objects of nvcc: a launch decodes the kernel's PTX
/// from the object and runs it as work of the stream. What cuda_double says of order, delays, failures and
/// execution holds for these kernels too; a Mistake is a failure of the stream.
///
/// COHORT_PTX_ARCHITECTURE=75   the GPU's compute capability, 90 by default
/// COHORT_PTX_CONTRACT=1    products and sums are fused wherever ptxas may (contract.hpp)
/// COHORT_PTX_COUNTS=FILE   at the end of the process a line of JSON for each kernel is added to FILE
namespace cohort::ptx {

struct Totals {
  int launches = 0;
  std::uint64_t blocks = 0;
  Counts counts;
};
/// By the kernel's name, demangled; of all launches that have ended since the last call.
std::map<std::string, Totals> take_totals();

}  // namespace cohort::ptx
