// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/sync_report.hpp: whether ranks hold alike what they must, and if not, what differs first and where.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace cohort {

/// A rank whose bits of something are not those of the most ranks.
struct Deviation {
  int rank = 0;
  std::uint64_t hash = 0;
  std::size_t elements = 0;  // that differ
  std::size_t first = 0;     // the first of them, row-major in the whole parameter
  double expected = 0, found = 0;
  friend bool operator==(const Deviation&, const Deviation&) = default;
};

/// What is not the same on all ranks that hold it.
struct Difference {
  std::string what;        // "parameter", "master", "exp_avg", ...; "step", "loss scale", "options"
  std::string name;        // of the parameter; empty for what belongs to none
  std::vector<int> ranks;  // the most that agree; of several such sets the one with the lowest rank
  std::uint64_t hash = 0;  // theirs
  std::size_t elements = 0;  // compared
  std::vector<Deviation> others;
  friend bool operator==(const Difference&, const Difference&) = default;
};

namespace detail {
/// "rank 2", "ranks 0, 1 and 3", "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 504 more".
inline std::string ranks_text(const std::vector<int>& ranks) {
  constexpr std::size_t most = 8;
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  const std::size_t shown = std::min(most, ranks.size());
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) text += i + 1 == ranks.size() ? " and " : ", ";
    text += std::to_string(ranks[i]);
  }
  if (shown < ranks.size()) text += " and " + std::to_string(ranks.size() - shown) + " more";
  return text;
}
/// A number in as few digits as give it back, or its bits where digits do not tell two apart.
inline std::string number_text(double value, double other) {
  char text[40], theirs[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  std::snprintf(theirs, sizeof theirs, "%.9g", other);
  if (std::string(text) == theirs)
    std::snprintf(text, sizeof text, "%a (0x%016llx)", value,
                  static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(value)));
  return text;
}
inline std::string hash_text(std::uint64_t hash) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}
}  // namespace detail

/// What check_sync(run) found; the same on every rank.
struct SyncReport {
  int ranks = 1;
  int copies = 1;   // ranks that hold the same tensors; 1: no tensor is held twice
  int tensors = 0;  // that are held by several ranks and were compared; a parameter has several
  int differing = 0;
  std::int64_t step = 0;  // rank 0's
  std::optional<Difference> first;

  bool in_sync() const { return !first; }
  /// One sentence, without a full stop.
  std::string text() const {
    if (first) return difference();
    const std::string always = "step, loss scale and options agree on " + std::to_string(ranks) +
                               (ranks == 1 ? " rank" : " ranks");
    if (tensors == 0)
      return "in sync: " + always +
             (ranks == 1 ? "" : "; no tensor was compared, this strategy holds none twice");
    return "in sync after step " + std::to_string(step) + ": " + std::to_string(tensors) +
           " tensors have the same bits on the " + std::to_string(copies) +
           " ranks that hold each; " + always;
  }

 private:
  std::string difference() const {
    const Difference& d = *first;
    std::string text;
    constexpr std::size_t most = 4;
    const bool tensor = !d.name.empty();
    for (std::size_t i = 0; i < std::min(most, d.others.size()); ++i) {
      const Deviation& o = d.others[i];
      text += i == 0 ? "" : "; ";
      text += "rank " + std::to_string(o.rank);
      if (i == 0)
        text += " differs from " + detail::ranks_text(d.ranks) + " in " + d.what +
                (tensor ? (d.what == "parameter" ? " '" : " of '") + d.name + "'" : "");
      text += ": ";
      if (tensor)
        text += std::to_string(o.elements) + " of " + std::to_string(d.elements) +
                " elements, the first at " + std::to_string(o.first) + ": ";
      text += detail::number_text(o.found, o.expected) + " instead of " +
              detail::number_text(o.expected, o.found);
      if (tensor)
        text += " (hash " + detail::hash_text(o.hash) + ", not " + detail::hash_text(d.hash) + ")";
    }
    if (d.others.size() > most)
      text += "; " + std::to_string(d.others.size() - most) + " more ranks";
    if (differing > 1) text += "; " + std::to_string(differing) + " tensors differ in all";
    return text + ", after step " + std::to_string(step);
  }
};

}  // namespace cohort
