// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/stored_name.hpp: what a file that others define calls a parameter, and how it lies there.
#pragma once
#include <cohort/core/error.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
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

/// What a file holds of one parameter: one tensor, or several whose rows stand one below the other here. Each but
/// the last then says how many it holds.
///
///   return StoredNames{{.name = "q_proj", .rows = 64}, {.name = "k_proj", .rows = 32}, {.name = "v_proj"}};
class StoredNames {
 public:
  StoredNames(StoredName one) : parts_{std::move(one)} {}
  StoredNames(std::initializer_list<StoredName> parts) : parts_(parts) {}

  /// f(name, first row here, extents here) for each tensor, `extents` being the parameter's.
  ///
  /// Errors   InvalidInput: no tensor, one without a number of rows before the last, or more rows than the
  ///          parameter has.
  template <class F> void for_each(std::span<const int> extents, F f) const {
    if (parts_.empty())
      throw InvalidInput(-1, "stored_names", "a parameter without a tensor: name one at least.");
    int first = 0;
    std::vector<int> left(extents.begin(), extents.end());
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const StoredName& part = parts_[i];
      if (i + 1 < parts_.size() && part.rows == 0)
        throw InvalidInput(-1, "stored_names",
                           "'" + part.name + "' is followed by '" + parts_[i + 1].name +
                               "': say how many rows it holds.");
      if (first > 0 && left[0] == 0)
        throw InvalidInput(-1, "stored_names",
                           "no rows are left for '" + part.name + "': those before it hold all " +
                               std::to_string(extents[0]) + ".");
      f(part, first, std::span<const int>(left));
      first += part.rows;
      if (!left.empty()) left[0] -= part.rows;
    }
  }

 private:
  std::vector<StoredName> parts_;
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
