// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/script.hpp: events of a step, which a test orders, holds up or lets fail.
#pragma once
#include <chrono>
#include <cohort/comm/threads.hpp>
#include <cohort/concepts/layer.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

namespace cohort::test {

enum class What { forward, backward, reduce_begin, reduce_end };

/// The number counts events of one kind from 0: probes in order of their calls, collectives in
/// order of issue since the script was cleared.
struct Event {
  What what;
  int number;
  friend bool operator==(const Event&, const Event&) = default;
};

/// One rank's events, noted by its compute thread and by its worker.
class Script {
 public:
  /// Called with each noted event, on the thread that meets it: may wait, sleep, throw.
  std::function<void(Event)> at = [](Event) {};

  void meet(What what) {
    const Event event = note(what);
    at(event);
  }
  /// True once the event was noted; false when that took longer than the limit.
  bool wait_for(Event event, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return place(event) >= 0; });
  }
  /// The event's place in the order of all, or -1.
  int place_of(Event event) {
    std::lock_guard lock(mutex_);
    return place(event);
  }
  void clear() {
    std::lock_guard lock(mutex_);
    events_.clear();
  }

  /// The script of the calling compute thread, for probes; null: probes do nothing.
  static Script*& here() {
    static thread_local Script* script = nullptr;
    return script;
  }

 private:
  Event note(What what) {
    std::lock_guard lock(mutex_);
    int number = 0;
    for (const Event& e : events_) number += e.what == what ? 1 : 0;
    events_.push_back({what, number});
    changed_.notify_all();
    return events_.back();
  }
  int place(Event event) const {
    for (std::size_t i = 0; i < events_.size(); ++i)
      if (events_[i] == event) return static_cast<int>(i);
    return -1;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
};

/// Passes its input on and tells the script of its thread.
template <int C> struct Probe {
  using Input = Features<C>;
  using Output = Features<C>;
  static auto forward(auto& ctx, const auto&, auto x) {
    if (Script* script = Script::here()) script->meet(What::forward);
    return Out{x, keep(ctx)};
  }
  static auto backward(auto&, const auto&, const auto&, auto dy, const auto&) {
    if (Script* script = Script::here()) script->meet(What::backward);
    return dy;
  }
};
static_assert(Layer<Probe<3>>);

/// Threads, with a script that hears of every all-reduce, on the thread that issues it.
class Scripted {
 public:
  Scripted(Threads comm, Script& script) : comm_(std::move(comm)), script_(&script) {}
  int rank() const { return comm_.rank(); }
  int size() const { return comm_.size(); }
  bool spins() const { return comm_.spins(); }
  template <class T> void all_reduce(T* inout, std::size_t count) {
    script_->meet(What::reduce_begin);
    comm_.all_reduce(inout, count);
    script_->meet(What::reduce_end);
  }
  template <class T> void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    comm_.reduce_scatter(in, out, count_per_rank);
  }
  template <class T> void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    comm_.all_gather(in, out, count_per_rank);
  }
  template <class T> void broadcast(T* inout, std::size_t count, int root) {
    comm_.broadcast(inout, count, root);
  }
  void barrier() { comm_.barrier(); }
  Scripted split(int color, int key) { return {comm_.split(color, key), *script_}; }
  Scripted duplicate() { return {comm_.duplicate(), *script_}; }
  void abort(std::exception_ptr error) { comm_.abort(std::move(error)); }

 private:
  Threads comm_;
  Script* script_;
};
static_assert(Communicator<Scripted>);

}  // namespace cohort::test
