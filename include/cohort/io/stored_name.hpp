// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/stored_name.hpp: what a file that others define calls a parameter, and how it lies there.
#pragma once
#include <cohort/core/error.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace cohort::io {

/// A parameter's name in a file, and what differs there.
///
/// Shapes   rows > 0: the file holds the first `rows` of the parameter's first extent, whose rest is
///          padding; what is held is transposed where that is said.
struct StoredName {
  std::string name;
  bool transposed = false;  // [in, out] in the file, [out, in] here
  int rows = 0;

  friend bool operator==(const StoredName&, const StoredName&) = default;
};

/// The shape in the file of a parameter with these extents.
///
/// Errors   InvalidInput: more rows than the parameter has, or a transpose of what is no matrix.
inline std::vector<std::uint64_t> stored_shape(const StoredName& stored,
                                               std::span<const int> extents) {
  const auto refuse = [&](const std::string& why) {
    throw InvalidInput(-1, "stored_shape", "'" + stored.name + "' " + why);
  };
  std::vector<std::uint64_t> shape(extents.begin(), extents.end());
  if (stored.rows < 0 || (stored.rows > 0 && (extents.empty() || stored.rows > extents[0]))) {
    refuse("is to hold " + std::to_string(stored.rows) + " rows of a parameter of " +
           std::to_string(extents.empty() ? 0 : extents[0]) + ": give that many at most.");
  }
  if (stored.rows > 0) shape[0] = static_cast<std::uint64_t>(stored.rows);
  if (!stored.transposed) return shape;
  if (shape.size() != 2) {
    refuse("is to be transposed, but its parameter has " + std::to_string(shape.size()) +
           " extents, not 2: map it as it is.");
  }
  std::swap(shape[0], shape[1]);
  return shape;
}

/// "[768, 2304]": for messages.
inline std::string readable_shape(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (const std::uint64_t extent : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

}  // namespace cohort::io
