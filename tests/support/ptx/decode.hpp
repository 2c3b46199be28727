// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/decode.hpp: from the words of a kernel's body to what the machine runs.
#pragma once
#include <memory>
#include <string>
#include <support/ptx/program.hpp>

namespace cohort::ptx {

class Module;

/// Calls are inlined: functions of device code end up so on a GPU as well, or might.
std::unique_ptr<Program> decode(const Module& module, const std::string& kernel);

}  // namespace cohort::ptx
