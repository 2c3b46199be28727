// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/fatbin.hpp: the PTX that nvcc has put into an object.
#pragma once
#include <string>

namespace cohort::ptx {

/// The newest PTX that a GPU of `architecture` (90: compute capability 9.0) can run, of what
/// __cudaRegisterFatBinary is given (nvcc --no-compress, with a virtual architecture).
///
/// Errors   Mistake: no fat binary, none of its parts is such PTX, or that is compressed.
std::string text_of(const void* wrapper, unsigned architecture);

}  // namespace cohort::ptx
