// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/recorder.hpp: any communicator, with a log of what was asked of it.
#pragma once
#include <cohort/comm/collective.hpp>
#include <cohort/concepts/communicator.hpp>
#include <cohort/core/error.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <utility>

namespace cohort {

/// Wraps a communicator and logs each collective before it is issued, for comparing a run with its
/// plan. The log is this rank's and this channel's: split() and duplicate() are logged here and
/// give recorders with logs of their own, of equal capacity, so that no two threads share one.
///
/// Comm     what the wrapped communicator does, nothing else.
/// Cost     one store per collective; storage is allocated once, by the constructor.
/// Errors   ContractBroken when the log is full: a log with holes would compare equal by accident.
template <Communicator C> class Recorder {
 public:
  static constexpr bool sums_in_tree_order = SumsInTreeOrder<C>;

  Recorder(C comm, std::size_t capacity)
      : comm_(std::move(comm)),
        capacity_(capacity),
        calls_(std::make_unique<Collective[]>(capacity)) {}

  int rank() const { return comm_.rank(); }
  int size() const { return comm_.size(); }
  bool spins() const requires requires(const C& c) { c.spins(); }
  { return comm_.spins(); }

  template <class T>
  requires HasAllReduce<C, T>
  void all_reduce(T* inout, std::size_t count) {
    note({CollectiveKind::all_reduce, dtype_of<T>, count, 0});
    comm_.all_reduce(inout, count);
  }
  template <class T>
  requires HasReduceScatter<C, T>
  void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    note({CollectiveKind::reduce_scatter, dtype_of<T>, count_per_rank, 0});
    comm_.reduce_scatter(in, out, count_per_rank);
  }
  template <class T>
  requires HasAllGather<C, T>
  void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    note({CollectiveKind::all_gather, dtype_of<T>, count_per_rank, 0});
    comm_.all_gather(in, out, count_per_rank);
  }
  template <class T>
  requires HasBroadcast<C, T>
  void broadcast(T* inout, std::size_t count, int root) {
    note({CollectiveKind::broadcast, dtype_of<T>, count, root});
    comm_.broadcast(inout, count, root);
  }
  void barrier() {
    note({CollectiveKind::barrier, DType::u8, 0, 0});
    comm_.barrier();
  }
  Recorder split(int color, int key) {
    note({CollectiveKind::split, DType::u8, 0, 0});
    return Recorder(comm_.split(color, key), capacity_);
  }
  Recorder duplicate() {
    note({CollectiveKind::duplicate, DType::u8, 0, 0});
    return Recorder(comm_.duplicate(), capacity_);
  }
  void abort(std::exception_ptr error) { comm_.abort(std::move(error)); }

  /// Passed on to communicators of GPUs.
  void synchronize() requires requires(C& c) { c.synchronize(); }
  { comm_.synchronize(); }
  template <class Stream> void synchronize(Stream stream) requires requires(C& c) {
    c.synchronize(stream);
  }
  { comm_.synchronize(stream); }
  template <class Done> void await(const Done& done) requires requires(C& c) { c.await(done); }
  { comm_.await(done); }
  void abandon() requires requires(C& c) { c.abandon(); }
  { comm_.abandon(); }
  template <class F> auto before_abort(F f) requires requires(C& c) { c.before_abort(f); }
  { return comm_.before_abort(std::move(f)); }
  int gpu() const requires requires(const C& c) { c.gpu(); }
  { return comm_.gpu(); }

  /// What was asked so far, in order.
  std::span<const Collective> log() const { return {calls_.get(), num_calls_}; }
  void clear() { num_calls_ = 0; }

  C& wrapped() { return comm_; }
  std::size_t capacity() const { return capacity_; }

 private:
  void note(const Collective& call) {
    if (num_calls_ == capacity_) {
      throw ContractBroken(rank(), text(call),
                           detail::phrase("the recorder's log of ", capacity_,
                                          " collectives is full. Give it a larger capacity, or "
                                          "call clear() between steps."));
    }
    calls_[num_calls_++] = call;
  }

  C comm_;
  std::size_t capacity_;
  std::unique_ptr<Collective[]> calls_;
  std::size_t num_calls_ = 0;
};

}  // namespace cohort
