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
/// Shapes   rows > 0: the tensor holds that many rows, the first that are left of the parameter; what the last
///          tensor of a parameter leaves is padding, and is neither read nor written. 0: all that are left.
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

  /// f(name, first row, extents of the rows that it holds) for each tensor of parameter `ours`.
  ///
  /// Errors   InvalidInput: no tensor, one without a number of rows before the last, or more rows than the
  ///          parameter has.
  template <class F>
  void for_each(const std::string& ours, std::span<const int> extents, F f) const {
    const auto refuse = [](const std::string& why) { throw InvalidInput(-1, "stored_names", why); };
    if (parts_.empty()) refuse("name at least one tensor of the file for '" + ours + "'.");
    std::vector<int> held(extents.begin(), extents.end());
    int first = 0;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const std::string& name = parts_[i].name;
      const int rows = parts_[i].rows;
      const int left = extents.empty() ? 0 : extents[0] - first;
      const std::string of_all = std::to_string(extents.empty() ? 0 : extents[0]);
      if (rows < 0)
        refuse("'" + name + "' cannot hold " + std::to_string(rows) + " rows of '" + ours + "'.");
      if (rows == 0 && i + 1 < parts_.size())
        refuse("'" + name + "' is followed by '" + parts_[i + 1].name + "': say how many of the " +
               of_all + " rows of '" + ours + "' it holds.");
      if (rows > left || (left == 0 && i > 0))
        refuse("'" + name + "' is to hold " + (rows > 0 ? std::to_string(rows) : "the rest") +
               " of the " + of_all + " rows of '" + ours + "', of which " + std::to_string(left) +
               " are left.");
      for (std::size_t k = 0; k < i; ++k)
        if (parts_[k].name == name)
          refuse("'" + name + "' is named twice for '" + ours +
                 "': each of its parts is a tensor of its own.");
      if (!held.empty()) held[0] = rows > 0 ? rows : left;
      f(parts_[i], first, std::span<const int>(held));
      first += rows;
    }
  }

 private:
  std::vector<StoredName> parts_;
};

/// The shape in the file of what has these extents here.
///
/// Errors   InvalidInput: a transpose of what is no matrix.
inline std::vector<std::uint64_t> stored_shape(const StoredName& stored,
                                               std::span<const int> extents) {
  std::vector<std::uint64_t> shape(extents.begin(), extents.end());
  if (!stored.transposed) return shape;
  if (shape.size() != 2)
    throw InvalidInput(-1, "stored_shape",
                       "'" + stored.name + "' is to be transposed, but its parameter has " +
                           std::to_string(shape.size()) + " extents, not 2: map it as it is.");
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
