// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/delayed.hpp: any communicator, with a wire that takes its time.
#pragma once
#include <cohort/comm/collective.hpp>
#include <cohort/concepts/communicator.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>
#include <utility>

namespace cohort {

/// Where a Delayed communicator sleeps: before it joins the collective (a late rank) or after it
/// (a slow wire: peers are not held up by this rank's sleep).
enum class When : std::uint8_t { before, after };

/// delay(kind, count, sequence): how long the sequence-th collective of this channel, from 1, takes
/// on top. Called on each rank's own copy.
template <class D>
concept WireDelay = std::copyable<D> &&
    requires(D& delay, CollectiveKind kind, std::size_t count, std::uint64_t sequence) {
  { delay(kind, count, sequence) } -> std::convertible_to<std::chrono::nanoseconds>;
};

/// Wraps a communicator and sleeps around each collective, so that a machine with few cores shows
/// the schedule of one with a slow network. Data and order are those of the wrapped one.
///
/// Cost     the delay asked for plus the clock's slack (about 60 us for a sleep on Linux); none
///          where the delay is zero.
/// Laws     a delay changes no bit (tests/comm/delayed_test.cpp). split() and duplicate() give
///          delayed communicators that count their own collectives from 1.
template <Communicator C, WireDelay Delay, When when = When::after> class Delayed {
 public:
  static constexpr bool sums_in_tree_order = SumsInTreeOrder<C>;

  Delayed(C comm, Delay delay) : comm_(std::move(comm)), delay_(std::move(delay)) {}

  int rank() const { return comm_.rank(); }
  int size() const { return comm_.size(); }
  bool spins() const requires requires(const C& c) { c.spins(); }
  { return comm_.spins(); }

  template <class T>
  requires HasAllReduce<C, T>
  void all_reduce(T* inout, std::size_t count) {
    around(CollectiveKind::all_reduce, count, [&] { comm_.all_reduce(inout, count); });
  }
  template <class T>
  requires HasReduceScatter<C, T>
  void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    around(CollectiveKind::reduce_scatter, count_per_rank,
           [&] { comm_.reduce_scatter(in, out, count_per_rank); });
  }
  template <class T>
  requires HasAllGather<C, T>
  void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    around(CollectiveKind::all_gather, count_per_rank,
           [&] { comm_.all_gather(in, out, count_per_rank); });
  }
  template <class T>
  requires HasBroadcast<C, T>
  void broadcast(T* inout, std::size_t count, int root) {
    around(CollectiveKind::broadcast, count, [&] { comm_.broadcast(inout, count, root); });
  }
  void barrier() {
    around(CollectiveKind::barrier, 0, [&] { comm_.barrier(); });
  }
  Delayed split(int color, int key) { return Delayed(comm_.split(color, key), delay_); }
  Delayed duplicate() { return Delayed(comm_.duplicate(), delay_); }
  void abort(std::exception_ptr error) { comm_.abort(std::move(error)); }

  C& wrapped() { return comm_; }

 private:
  template <class Exchange> void around(CollectiveKind kind, std::size_t count, Exchange exchange) {
    const std::chrono::nanoseconds wire = delay_(kind, count, ++sequence_);
    if (when == When::before && wire.count() > 0) std::this_thread::sleep_for(wire);
    exchange();
    if (when == When::after && wire.count() > 0) std::this_thread::sleep_for(wire);
  }

  C comm_;
  Delay delay_;
  std::uint64_t sequence_ = 0;
};

}  // namespace cohort
