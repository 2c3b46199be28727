// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/shards.hpp: groups as flat ranges that ranks share out: sizes, and where units stand in them.
#pragma once
#include <cohort/plan/groups.hpp>

namespace cohort {

/// What groups hold of one kind, trained or frozen: each group is one flat range, its units in forward
/// order. Elements, padding between parameters included; a group's tail is padded to whole chunks a
/// rank when the world is known.
template <int U> struct RangeTable {
  std::array<std::size_t, U + 1> size{};  // of a group; at most U + 1 groups
  std::array<std::size_t, U> offset{};    // of a unit inside its group
  int groups = 1;

  /// Elements of a group that each of `ranks` ranks holds: the last ranks' may be padding only.
  constexpr std::size_t per_rank(int group, int ranks) const {
    const auto n = static_cast<std::size_t>(ranks);
    return round_up(size[group], chunk * n) / n;
  }
  constexpr std::size_t padded(int group, int ranks) const {
    return per_rank(group, ranks) * static_cast<std::size_t>(ranks);
  }
  /// Elements of one rank's shard of all groups.
  constexpr std::size_t shard(int ranks) const {
    std::size_t sum = 0;
    for (int g = 0; g < groups; ++g) sum += per_rank(g, ranks);
    return sum;
  }
  /// The largest group, padded.
  constexpr std::size_t largest(int ranks) const {
    return padded(0, ranks) > slot(ranks) ? padded(0, ranks) : slot(ranks);
  }
  /// The largest group but the root, padded: what a slot for gathered gradients holds.
  constexpr std::size_t slot(int ranks) const {
    std::size_t most = 0;
    for (int g = 1; g < groups; ++g) most = padded(g, ranks) > most ? padded(g, ranks) : most;
    return most;
  }
};

/// Groups as flat ranges: of what is trained, and of what is frozen, which has no gradient.
template <int U> struct ShardTable : RangeTable<U> {
  RangeTable<U> frozen;
  std::array<int, U + 1> first_unit{}, last_unit{};

  /// A group's parameters of both kinds, each padded, and the largest group but the root: what a slot
  /// for gathered parameters holds.
  constexpr std::size_t whole(int group, int ranks) const {
    return this->padded(group, ranks) + frozen.padded(group, ranks);
  }
  constexpr std::size_t whole_slot(int ranks) const {
    std::size_t most = 0;
    for (int g = 1; g < this->groups; ++g) most = whole(g, ranks) > most ? whole(g, ranks) : most;
    return most;
  }
};

/// The shard table of a layout and its groups.
template <class Model, class Cut>
constexpr auto make_shards(const Layout<Model, Cut>& layout,
                           const GroupTable<Layout<Model, Cut>::num_units>& groups) {
  ShardTable<Layout<Model, Cut>::num_units> table;
  table.groups = table.frozen.groups = groups.count;
  for (int g = 0; g < groups.count; ++g) table.first_unit[g] = -1;
  for (int u = 0; u < layout.num_units; ++u) {
    const int g = groups.of[u];
    if (table.first_unit[g] < 0) table.first_unit[g] = u;
    table.last_unit[g] = u;
    table.offset[u] = table.size[g];
    table.size[g] += layout.units[u].size;
    table.frozen.offset[u] = table.frozen.size[g];
    table.frozen.size[g] += layout.units[u].frozen_size;
  }
  return table;
}

}  // namespace cohort
