// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/time_slice.hpp: a thread that seldom runs asks to run as soon as it wakes.
#pragma once
#include <cstdint>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace cohort::detail {

/// Asks the system for the shortest time slice, 0.1 ms, for the calling thread. Where there are more
/// threads than cores, a thread that wakes up then interrupts one with a longer slice instead of waiting
/// for its end, up to 3 ms away. No privilege is needed; priority and fairness stay as they are.
///
/// Cost     two system calls.
/// Errors   none: false where the system has no such request (before Linux 6.12) or the thread has
///          another scheduling policy. Nothing changes then.
/// Source   Linux, kernel/sched/syscalls.c: sched_attr::sched_runtime of SCHED_OTHER.
inline bool wake_up_soon() noexcept {
#if defined(__linux__) && defined(SYS_sched_setattr)
  struct {  // struct sched_attr, of which libc versions disagree whether they declare it
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
    std::uint32_t least, most;
  } attributes{};
  constexpr std::uint32_t sched_other = 0;
  attributes.size = sizeof attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0u) != 0) return false;
  // Before 6.12 the slice of this policy reads as zero, and a request would be ignored.
  if (attributes.policy != sched_other || attributes.runtime == 0) return false;
  attributes.runtime = 100'000;  // ns
  attributes.flags = 0;
  return syscall(SYS_sched_setattr, 0, &attributes, 0u) == 0;
#else
  return false;
#endif
}

}  // namespace cohort::detail
