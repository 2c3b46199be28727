// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/ptx/operations.hpp: what the machine can compute, by the names that PTX has for it.
#pragma once
#include <cstdint>
#include <string_view>
#include <support/ptx/program.hpp>
#include <vector>

namespace cohort::ptx {

/// An instruction whose result depends on its operands alone.
struct Operation {
  Execute execute = nullptr;
  Kind kind = Kind::compute;
  Pipe pipe = Pipe::integer;
  /// Bytes of each operand's value in one lane, 0 for predicates.
  std::vector<std::uint8_t> to, from;
  /// Registers may be wider than the value (cvt): they hold it extended.
  bool flexible = false;
};

/// By the whole name ("fma.rn.f32"): modifiers that are not listed are not known. nullptr: none.
const Operation* operation(std::string_view name);

}  // namespace cohort::ptx
