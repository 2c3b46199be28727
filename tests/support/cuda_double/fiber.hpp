// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/fiber.hpp: a stack of its own, and how control moves from one to another.
#pragma once
#include <cstddef>

#if !defined(__x86_64__) || defined(COHORT_DOUBLE_UCONTEXT)
#include <ucontext.h>
#define COHORT_DOUBLE_SWITCH_BY_UCONTEXT 1
#endif

extern "C" {
void __tsan_acquire(void* address) __attribute__((weak));
void __tsan_release(void* address) __attribute__((weak));
void AnnotateIgnoreReadsBegin(const char* file, int line) __attribute__((weak));
void AnnotateIgnoreReadsEnd(const char* file, int line) __attribute__((weak));
void AnnotateIgnoreWritesBegin(const char* file, int line) __attribute__((weak));
void AnnotateIgnoreWritesEnd(const char* file, int line) __attribute__((weak));
}

namespace cohort::cuda_double {

/// One fiber. Belongs to the system thread that made it; `entry` never returns. AddressSanitizer and
/// ThreadSanitizer are told of every switch; to the latter, watched fibers are threads that nothing orders.
struct Fiber {
  /// A new one, to be switched to. watched: ThreadSanitizer takes it for a thread.
  Fiber(void (*entry)(Fiber&), void* owner, int number, bool watched);
  Fiber();  // the stack that the caller runs on
  Fiber(const Fiber&) = delete;
  ~Fiber();
  /// Leaves `from`, which must be running; returns when something switches back to it.
  static void change(Fiber& from, Fiber& to);
  /// Forgets what the fiber was doing: it will begin at `entry` again. It must not be running.
  void restart();

  void* owner = nullptr;

 private:
  static void begin();
  void drop_fake_stack();
  void (*entry_)(Fiber&) = nullptr;
  char* stack_ = nullptr;  // its lowest usable byte
  std::size_t stack_bytes_ = 0;
  void* saved_ = nullptr;       // stack pointer while it does not run
  void* fake_stack_ = nullptr;  // AddressSanitizer's
  Fiber* dropper_ = nullptr;    // waits until this fiber has dropped it
  void* race_fiber_ = nullptr;  // ThreadSanitizer's
  bool watched_ = false;
#if defined(COHORT_DOUBLE_SWITCH_BY_UCONTEXT)
  ucontext_t context_{};
#endif
};

#if defined(__SANITIZE_THREAD__)
inline constexpr bool races_are_watched = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool races_are_watched = true;
#else
inline constexpr bool races_are_watched = false;
#endif
#else
inline constexpr bool races_are_watched = false;
#endif

/// What ThreadSanitizer is told: after `clock_acquire` the caller has seen what happened before each
/// `clock_release` on that address. Nothing elsewhere.
inline void clock_release([[maybe_unused]] void* address) {
  if constexpr (races_are_watched) __tsan_release(address);
}
inline void clock_acquire([[maybe_unused]] void* address) {
  if constexpr (races_are_watched) __tsan_acquire(address);
}
/// false: ThreadSanitizer does not see what the calling fiber reads and writes until true again.
inline void watch_races([[maybe_unused]] bool on) {
  if constexpr (races_are_watched) {
    if (on) {
      AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
      AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    } else {
      AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
      AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    }
  }
}

}  // namespace cohort::cuda_double
