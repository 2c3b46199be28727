// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/exchange.hpp: how ranks that exchange arrays to add them up in an order cut them, and the room that takes.
#pragma once
#include <algorithm>
#include <cohort/core/tensor.hpp>
#include <cohort/device/traits.hpp>
#include <cohort/plan/ledger.hpp>

namespace cohort {

/// Rank r adds up the r-th slice of an array: `each` elements, the last of them fewer or none. Slices begin at
/// multiples of 16 bytes of the array.
struct Slices {
  std::size_t count = 0, each = 0;

  constexpr std::size_t begin(int rank) const {
    const std::size_t at = static_cast<std::size_t>(rank) * each;
    return at < count ? at : count;
  }
  constexpr std::size_t size(int rank) const { return begin(rank + 1) - begin(rank); }
  /// With what the last ones lack.
  constexpr std::size_t padded(int ranks) const { return static_cast<std::size_t>(ranks) * each; }
};
/// Those of `count` elements of so many bytes, for all of `ranks` ranks.
constexpr Slices slices(std::size_t count, std::size_t element_bytes, int ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  const std::size_t pack = 16 / element_bytes, each = (count + n - 1) / n;
  return {count, (each + pack - 1) / pack * pack};
}

/// Arrays of which all ranks' together have so many bytes at most are shown to everybody, who adds up
/// everything: one collective where slices take two. (An estimate: no step's time depends on it but by one
/// latency.)
inline constexpr std::size_t whole_exchange_bytes = 64_KiB;
/// Is an array of so many elements one of these?
constexpr bool exchanged_whole(std::size_t count, std::size_t element_bytes, int ranks) {
  return count * element_bytes * static_cast<std::size_t>(ranks) <= whole_exchange_bytes;
}

/// Room for what a rank receives of its peers to add it up; integers take none, whose sums have no order.
constexpr std::size_t exchange_bytes(const IssuedOp& op) {
  const bool adds = op.kind != OpKind::all_gather && op.kind != OpKind::norm;
  if (op.ranks == 1 || !adds) return 0;
  const auto ranks = static_cast<std::size_t>(op.ranks);
  const std::size_t element = bytes(op.dtype);
  if (op.kind == OpKind::reduce_scatter || exchanged_whole(op.count, element, op.ranks))
    return ranks * op.count * element;
  return slices(op.count, element, op.ranks).padded(op.ranks) * element;
}

namespace detail {
/// Room for each of a plan's operations, one at a time. On CPUs no plan takes any: their communicators add up in
/// this order anyway.
template <class Plan> constexpr std::size_t most_exchanged([[maybe_unused]] int ranks) {
  std::size_t most = 0;
  if constexpr (Plan::in_tree_order && !on_host<typename Plan::device>) {
    Plan::for_each_kind([&]<MicroBatch M>() {
      for (const Op& op : Plan::template program<M>)
        most = std::max(most, exchange_bytes(Plan::issued(op, ranks)));
    });
  }
  return round_up(most, alignment);
}
}  // namespace detail

}  // namespace cohort
