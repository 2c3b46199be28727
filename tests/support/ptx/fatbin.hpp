// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/fatbin.hpp: the PTX that nvcc has put into an object.
#pragma once
#include <string>

namespace cohort::ptx {

/// The newest PTX of what __cudaRegisterFatBinary is given (nvcc --no-compress, with a virtual architecture).
///
/// Errors   Mistake: no fat binary, none of its parts is PTX, or that is compressed.
std::string text_of(const void* wrapper);

}  // namespace cohort::ptx
