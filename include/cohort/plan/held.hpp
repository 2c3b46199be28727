// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/held.hpp: which elements of which parameters a rank holds, as runs: what checkpoints are cut by.
#pragma once
#include <algorithm>
#include <cohort/plan/shards.hpp>

namespace cohort {

/// Elements [first, first + count) of a parameter, row-major, that a rank holds at [local, local + count)
/// of its own range: of its shard for trained parameters, of what it keeps for frozen ones.
struct HeldRun {
  int param = 0;
  std::size_t first = 0, count = 0, local = 0;
  int group = 0;
  friend constexpr bool operator==(const HeldRun&, const HeldRun&) = default;
};

/// How many ranks hold the same as this one, and which of them it is.
struct Copies {
  int count = 1, index = 0;
  /// The part [begin, end) of `size` elements that this copy answers for, whole chunks: together the
  /// copies answer for everything, once.
  constexpr std::size_t begin(std::size_t size) const { return at(size, index); }
  constexpr std::size_t end(std::size_t size) const { return at(size, index + 1); }

 private:
  constexpr std::size_t at(std::size_t size, int i) const {
    const std::size_t part =
        round_up(size, chunk * static_cast<std::size_t>(count)) / static_cast<std::size_t>(count);
    return std::min(size, static_cast<std::size_t>(i) * part);
  }
};

/// The part of a run inside [begin, end) of the rank's own range; count 0 when there is none.
constexpr HeldRun clipped(HeldRun run, std::size_t begin, std::size_t end) {
  const std::size_t low = std::max(run.local, begin);
  const std::size_t high = std::min(run.local + run.count, end);
  if (low >= high) return {run.param, run.first, 0, run.local, run.group};
  return {run.param, run.first + (low - run.local), high - low, low, run.group};
}

/// Calls f(HeldRun) for every trained (or frozen) parameter of which rank `rank` of `ranks` holds
/// elements, when groups are dealt out in equal slices; in forward order, at most one run a parameter.
template <class Layout, class Groups, class Shards, class F>
constexpr void for_each_sharded_run(const Layout& layout, const Groups& groups,
                                    const Shards& shards, bool trained, int ranks, int rank, F f) {
  const auto& range = trained ? static_cast<const decltype(shards.frozen)&>(shards) : shards.frozen;
  for (int i = 0; i < Layout::num_params; ++i) {
    const ParamInfo& p = layout.params[static_cast<std::size_t>(i)];
    if (p.trains != trained || p.averages()) continue;
    const UnitInfo& unit = layout.units[static_cast<std::size_t>(p.unit)];
    const int group = groups.of[static_cast<std::size_t>(p.unit)];
    const std::size_t per = range.per_rank(group, ranks);
    const std::size_t mine = static_cast<std::size_t>(rank) * per;
    const std::size_t begin = range.offset[static_cast<std::size_t>(p.unit)] +
                              (p.offset - (trained ? unit.offset : unit.frozen_offset));
    const std::size_t low = std::max(begin, mine), high = std::min(begin + p.numel, mine + per);
    if (low >= high) continue;
    std::size_t before = 0;
    for (int g = 0; g < group; ++g) before += range.per_rank(g, ranks);
    f(HeldRun{i, low - begin, high - low, before + (low - mine), group});
  }
}

/// The same where every rank holds everything, in the layout's order.
template <class Layout, class F>
constexpr void for_each_whole_run(const Layout& layout, bool trained, F f) {
  for (int i = 0; i < Layout::num_params; ++i) {
    const ParamInfo& p = layout.params[static_cast<std::size_t>(i)];
    if (p.trains == trained && !p.averages())
      f(HeldRun{i, 0, p.numel, p.offset - (trained ? 0 : Layout::size), 0});
  }
}

/// The same for averaged parameters, which every rank holds.
template <class Layout, class F> constexpr void for_each_averaged_run(const Layout& layout, F f) {
  for (int i = 0; i < Layout::num_params; ++i) {
    const ParamInfo& p = layout.params[static_cast<std::size_t>(i)];
    if (p.averages()) f(HeldRun{i, 0, p.numel, p.offset - Layout::first_averaged, 0});
  }
}

}  // namespace cohort
