// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cpu_stream.hpp: the communication stream of a CPU rank: a worker, or inline.
#pragma once
#include <atomic>
#include <cohort/device/time_slice.hpp>
#include <cohort/plan/schedule.hpp>
#include <cstdint>
#include <exception>
#include <thread>

namespace cohort {

/// Where a rank's collectives run. `automatic` takes a worker when ranks x 2 streams fit the cores
/// and there is more than one rank: a worker costs more than it hides otherwise.
enum class StreamMode : std::uint8_t { automatic, on_compute_thread, worker };

namespace detail {
/// A number that only grows; one side posts, the other waits. Wraps after 2^32 posts without harm.
class Counter {
 public:
  void post(std::uint32_t value) {
    value_.store(value, std::memory_order_release);
    value_.notify_all();
  }
  bool reached(std::uint32_t value) const {
    return static_cast<std::int32_t>(value_.load(std::memory_order_acquire) - value) >= 0;
  }
  void wait(std::uint32_t value, int spins) const {
    for (int i = 0; i < spins; ++i) {
      if (reached(value)) return;
    }
    for (std::uint32_t seen = value_.load(std::memory_order_acquire);
         static_cast<std::int32_t>(seen - value) < 0;
         seen = value_.load(std::memory_order_acquire)) {
      value_.wait(seen, std::memory_order_acquire);
    }
  }

 private:
  alignas(64) std::atomic<std::uint32_t> value_{0};
};
}  // namespace detail

/// Walks the communication stream's projection of the plan's programs: each operation starts when
/// the compute stream has reached its marker. Compute and worker meet in two counters only; inline
/// mode runs the same operations in the same order on the compute thread.
///
/// Cost     no queue, no closure, no allocation. A marker is one store (and one wake-up if the
///          worker sleeps).
/// Errors   what an operation throws on the worker is rethrown on the compute thread by the next
///          wait.
template <class Plan, class Executor> class CpuStream {
 public:
  /// Of one of `ranks` ranks.
  CpuStream(Executor& executor, bool worker, bool spins, int ranks)
      : executor_(&executor), ranks_(ranks), spins_(spins ? 4000 : 0), has_worker_(worker) {
    if (worker) thread_ = std::thread(work_of, static_cast<void*>(this));
  }
  CpuStream(const CpuStream&) = delete;
  ~CpuStream() {
    if (!has_worker_) return;
    stop_.store(true);
    compute_.post(marker_base_ + (1u << 30));  // beyond every marker that the worker may wait for
    thread_.join();
  }
  bool has_worker() const { return has_worker_; }

  template <MicroBatch M> void begin() {
    next_ = Plan::template program<M>.begin();
    end_ = Plan::template program<M>.end();
  }
  /// The compute stream is at `marker` of this micro-batch: everything before it is written.
  void reached(int marker) {
    if (has_worker_) {
      compute_.post(marker_base_ + static_cast<std::uint32_t>(marker) + 1);
    } else {
      for (; next_ != end_ && next_->after <= marker; ++next_) executor_->run_op(*next_);
    }
  }
  /// Returns once the first `ops` operations of this micro-batch are done; inline they are already.
  void wait(int ops) {
    if (!has_worker_ || ops == 0) return;
    done_.wait(ops_base_ + static_cast<std::uint32_t>(ops), spins_);
    if (failed_.load(std::memory_order_acquire)) std::rethrow_exception(failure_);
  }
  /// Runs what is no part of a program, between steps, on the compute thread.
  template <class F> void outside(F f) { f(); }
  /// Returns once all operations of this micro-batch are done; the next one may begin.
  void finish() {
    const auto ops = static_cast<std::uint32_t>(end_ - next_);
    wait(static_cast<int>(ops));
    ops_base_ += ops;
    marker_base_ += Plan::markers::count;
  }

 private:
  template <MicroBatch M> bool work_through(std::uint32_t& base, std::uint32_t& done) {
    for (const Op& op : Plan::template program<M>) {
      compute_.wait(base + static_cast<std::uint32_t>(op.after) + 1, spins_);
      if (stop_.load()) return false;
      executor_->run_op(op);
      done_.post(++done);
    }
    base += Plan::markers::count;
    return true;
  }
  /// (std::thread is compiled once for all streams.)
  static void work_of(void* stream) { static_cast<CpuStream*>(stream)->work(); }
  void work() {
    detail::wake_up_soon();  // compute threads may hold every core
    std::uint32_t base = 0, done = 0;
    try {
      bool go = true;
      while (go) {
        Plan::for_each_micro_batch([&]<MicroBatch M>() { go = go && work_through<M>(base, done); },
                                   ranks_);
      }
    } catch (...) {
      failure_ = std::current_exception();
      executor_->fail(failure_);
      failed_.store(true, std::memory_order_release);
      done_.post(done + (1u << 30));
    }
  }

  Executor* executor_;
  int ranks_, spins_;
  bool has_worker_;
  const Op* next_ = nullptr;
  const Op* end_ = nullptr;
  std::uint32_t marker_base_ = 0, ops_base_ = 0;
  detail::Counter compute_, done_;
  std::atomic<bool> stop_{false}, failed_{false};
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace cohort
