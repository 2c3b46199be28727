// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/bell.hpp: a word that threads sleep on for a bounded time until somebody rings.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#endif

namespace cohort::detail {

/// Wakes sleeping threads. std::atomic::wait has no timeout, and every wait of cohort has one, so
/// this calls the futex of Linux itself; elsewhere the sleeper polls.
///
/// Cost     ring: one atomic addition and one system call. sleep: one system call.
/// Laws     a ring after value() was read ends the sleep on that value: no wake-up is lost
///          (tests/comm/bell_test.cpp).
class Bell {
 public:
  std::uint32_t value() const { return rings_.load(); }

  void ring() {
    rings_.fetch_add(1);
#if defined(__linux__)
    syscall(SYS_futex, &rings_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
#endif
  }

  /// Returns after a ring, after at_most, or early for no reason.
  void sleep(std::uint32_t seen, std::chrono::nanoseconds at_most) {
#if defined(__linux__)
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at_most);
    std::timespec limit{};
    limit.tv_sec = static_cast<std::time_t>(seconds.count());
    limit.tv_nsec = static_cast<long>((at_most - seconds).count());
    syscall(SYS_futex, &rings_, FUTEX_WAIT_PRIVATE, seen, &limit, nullptr, 0);
#else
    constexpr std::chrono::nanoseconds poll = std::chrono::microseconds(50);
    if (value() == seen) std::this_thread::sleep_for(at_most < poll ? at_most : poll);
#endif
  }

 private:
  std::atomic<std::uint32_t> rings_{0};
  static_assert(sizeof(std::atomic<std::uint32_t>) == 4, "the futex needs a plain 32-bit word");
};

/// Tells the core that this thread only waits for another one.
inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace cohort::detail
