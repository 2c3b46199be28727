// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/contract.hpp: products and sums that an assembler may fuse, fused.
#pragma once
#include <support/ptx/program.hpp>

namespace cohort::ptx {

/// PTX allows mul without a rounding modifier, followed by add or sub without one, to become one fma. This
/// makes every such pair one, as far as ptxas might ever go: what must have the CPU's bits has to say mul.rn.
/// Returns how many pairs there were.
int contract(Program& program);

}  // namespace cohort::ptx
