// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/concepts/communicator.hpp: what a communicator offers, one concept per collective.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

namespace cohort {

/// Says which rank it is, of how many.
template <class C>
concept HasRank = requires(const C& c) {
  { c.rank() } -> std::same_as<int>;
  { c.size() } -> std::same_as<int>;
};

/// all_reduce(inout, count): every rank's array becomes the sum over ranks, the same bits on each.
template <class C, class T>
concept HasAllReduce = requires(C& c, T* inout, std::size_t count) {
  { c.all_reduce(inout, count) } -> std::same_as<void>;
};

/// reduce_scatter(in, out, count_per_rank): rank r receives the sum of everybody's r-th part.
template <class C, class T>
concept HasReduceScatter = requires(C& c, const T* in, T* out, std::size_t count_per_rank) {
  { c.reduce_scatter(in, out, count_per_rank) } -> std::same_as<void>;
};

/// all_gather(in, out, count_per_rank): every rank receives all parts in rank order.
template <class C, class T>
concept HasAllGather = requires(C& c, const T* in, T* out, std::size_t count_per_rank) {
  { c.all_gather(in, out, count_per_rank) } -> std::same_as<void>;
};

/// broadcast(inout, count, root): every rank's array becomes the root's.
template <class C, class T>
concept HasBroadcast = requires(C& c, T* inout, std::size_t count, int root) {
  { c.broadcast(inout, count, root) } -> std::same_as<void>;
};

/// barrier(): returns when every rank has called it.
template <class C>
concept HasBarrier = requires(C& c) {
  { c.barrier() } -> std::same_as<void>;
};

/// split(color, key): one group per color, ordered by key, then by rank.
/// duplicate(): the same ranks on a channel of its own, for another thread of this rank.
template <class C>
concept HasGroups = requires(C& c, int color, int key) {
  { c.split(color, key) } -> std::same_as<C>;
  { c.duplicate() } -> std::same_as<C>;
};

/// abort(error): fails the world: every rank that waits or calls hears of it in bounded time.
template <class C>
concept HasAbort = requires(C& c, std::exception_ptr error) {
  { c.abort(std::move(error)) } -> std::same_as<void>;
};

/// The three collectives of data for one element type.
template <class C, class T>
concept Reduces = HasAllReduce<C, T> && HasReduceScatter<C, T>;
/// Copies elements of type T between ranks.
template <class C, class T>
concept Moves = HasAllGather<C, T> && HasBroadcast<C, T>;

/// Its sums over ranks have the order of comm/sum.hpp, element by element, whatever the collective.
template <class C>
concept SumsInTreeOrder = requires {
  requires C::sums_in_tree_order;
};

/// One rank's handle on a world: what the trainer and its policies need to exist. It is moved, not
/// copied: two handles would have to agree on who makes the next call; duplicate() exists for that.
template <class C>
concept Communicator = std::movable<C> && HasRank<C> && HasBarrier<C> && HasGroups<C> &&
    HasAbort<C> && Reduces<C, float> && Reduces<C, double> && Reduces<C, std::int32_t> &&
    Reduces<C, std::int64_t> && Moves<C, float> && Moves<C, double> && Moves<C, std::int32_t> &&
    Moves<C, std::int64_t> && Moves<C, std::uint8_t>;

}  // namespace cohort
