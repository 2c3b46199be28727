// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/checkpoint_name.hpp: the names that checkpoints have in their directory.
#pragma once
#include <algorithm>
#include <charconv>
#include <compare>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace cohort::io {

/// The name of a complete checkpoint in its directory: "step-00001000", and "step-00001000.1", ... for
/// those that were saved at a step of which there was one. Ordered by age of training.
///
/// Laws     of() and text() are inverse; of() takes no other name (tests/io/checkpoint_name_test.cpp).
struct CheckpointName {
  std::int64_t step = 0, again = 0;

  auto operator<=>(const CheckpointName&) const = default;
  std::string text() const {
    char out[32];
    std::snprintf(out, sizeof out, "step-%08lld", static_cast<long long>(step));
    return again == 0 ? out : out + ("." + std::to_string(again));
  }
  /// Nothing for a name that text() would not write.
  static std::optional<CheckpointName> of(std::string_view name) {
    CheckpointName out;
    const char* const end = name.data() + name.size();
    if (!name.starts_with("step-")) return {};
    const char* const dot = std::from_chars(name.data() + 5, end, out.step).ptr;
    if (dot != end) std::from_chars(dot + 1, end, out.again);
    return std::min(out.step, out.again) >= 0 && out.text() == name ? std::optional(out)
                                                                    : std::nullopt;
  }
};

/// A checkpoint that is not complete yet, "tmp-step-00001000", or no more, "tmp-old-step-00001000".
inline bool is_temporary_checkpoint(std::string_view name) {
  for (const std::string_view before : {"tmp-old-", "tmp-"})
    if (name.starts_with(before) && CheckpointName::of(name.substr(before.size()))) return true;
  return false;
}

}  // namespace cohort::io
