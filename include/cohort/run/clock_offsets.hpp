// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/clock_offsets.hpp: how far apart the clocks of ranks on several hosts are, with a bound of the error.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace cohort::detail {

/// How much a clock is ahead of rank 0's, and by how much that may be wrong.
struct ClockOffset {
  std::int64_t ahead = 0, error = 0;  // nanoseconds
};

/// What clocks showed when a rank came to a barrier and when it left.
struct Meeting {
  std::int64_t came = 0, left = 0;
};

/// Narrows down a clock's offset, meeting by meeting. Nobody leaves a barrier before everybody came to it;
/// so `mine` was not left before rank 0 came, nor rank 0's before I came: the offset is at most
/// mine.left - zero.came and at least mine.came - zero.left.
class ClockBounds {
 public:
  void add(Meeting zero, Meeting mine) {
    most_ = std::min(most_, mine.left - zero.came);
    least_ = std::max(least_, mine.came - zero.left);
  }
  /// The middle; none where nothing contradicts that the two are one clock.
  ClockOffset offset() const {
    if (least_ <= 0 && most_ >= 0) return {};
    return {least_ + (most_ - least_) / 2, (most_ - least_ + 1) / 2};
  }

 private:
  std::int64_t least_ = std::numeric_limits<std::int64_t>::min();
  std::int64_t most_ = std::numeric_limits<std::int64_t>::max();
};

/// Every rank's offset, by rank, the same on all. now(): this rank's clock. Collective.
///
/// Comm     a barrier and an all-gather of two words, `rounds` times.
/// Errors   none. The bounds hold now: clocks that run at different rates were another offset apart when a
///          span was noted long ago.
template <class World, class Now>
std::vector<ClockOffset> clock_offsets(World& world, Now now, int rounds = 16) {
  const auto ranks = static_cast<std::size_t>(world.size());
  std::vector<ClockBounds> bounds(ranks);
  std::vector<std::int64_t> all(2 * ranks);
  for (int round = 0; round < rounds; ++round) {
    std::int64_t mine[2] = {now(), 0};
    world.barrier();
    mine[1] = now();
    world.all_gather(static_cast<const std::int64_t*>(mine), all.data(), std::size_t{2});
    for (std::size_t r = 0; r < ranks; ++r)
      bounds[r].add({all[0], all[1]}, {all[2 * r], all[2 * r + 1]});
  }
  std::vector<ClockOffset> offsets;
  for (const ClockBounds& b : bounds) offsets.push_back(b.offset());
  return offsets;
}

}  // namespace cohort::detail
