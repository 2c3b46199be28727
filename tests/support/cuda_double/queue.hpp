// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/queue.hpp: how a program hands work to a stream, and learns that it is done.
#pragma once
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace cohort::cuda_double {

// Waiters only read. With mutexes and condition variables a worker would also order what it did before
// what the program does after its next push, and ThreadSanitizer could not see a missing wait.
inline void sleep_while(const std::atomic<std::uint32_t>& word, std::uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<const std::uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value,
          nullptr, nullptr, 0);
}
inline void wake_all(const std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<const std::uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT_MAX,
          nullptr, nullptr, 0);
}

/// Goes up once. Who has waited sees all that happened before.
class Flag {
 public:
  void set() {
    up_.store(1, std::memory_order_release);
    wake_all(up_);
  }
  bool is_set() const { return up_.load(std::memory_order_acquire) != 0; }
  void wait() const {
    while (!is_set()) sleep_while(up_, 0);
  }

 private:
  std::atomic<std::uint32_t> up_{0};
};

/// First in, first out; any thread pushes, one pops.
class TaskQueue {
  struct Task {
    std::function<void()> work;
    std::atomic<Task*> next{nullptr};
  };

 public:
  TaskQueue() : first_(new Task), last_(first_) {}
  TaskQueue(const TaskQueue&) = delete;
  ~TaskQueue() {
    while (first_ != nullptr) delete std::exchange(first_, first_->next.load());
  }
  void push(std::function<void()> work) {
    auto* task = new Task;
    task->work = std::move(work);
    const std::lock_guard lock(pushing_);
    last_->next.store(task, std::memory_order_release);
    last_ = task;
    pushed_.fetch_add(1, std::memory_order_release);
    wake_all(pushed_);
  }
  /// How many were pushed so far: wait_for() that number waits for all of them.
  std::uint32_t pushed() const { return pushed_.load(); }
  void wait_for(std::uint32_t number) const {
    for (std::uint32_t seen = done_.load(std::memory_order_acquire);
         static_cast<std::int32_t>(seen - number) < 0;
         seen = done_.load(std::memory_order_acquire)) {
      sleep_while(done_, seen);
    }
  }
  bool done(std::uint32_t number) const {
    return static_cast<std::int32_t>(done_.load(std::memory_order_acquire) - number) >= 0;
  }
  /// The popping thread says so after each.
  void one_is_done() {
    done_.store(done_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    wake_all(done_);
  }
  /// Sleeps until there is one.
  std::function<void()> pop() {
    for (;;) {
      const std::uint32_t seen = pushed_.load(std::memory_order_acquire);
      if (Task* task = first_->next.load(std::memory_order_acquire)) {
        delete std::exchange(first_, task);
        return std::move(task->work);
      }
      sleep_while(pushed_, seen);
    }
  }

 private:
  std::mutex pushing_;
  std::atomic<std::uint32_t> pushed_{0}, done_{0};
  Task* first_;  // its successor is the next task
  Task* last_;
};

}  // namespace cohort::cuda_double
