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

#if defined(__linux__) && defined(SYS_sched_setattr)
/// struct sched_attr, of which libc versions disagree whether they declare it.
struct SchedAttributes {
  std::uint32_t size, policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime, deadline, period;
  std::uint32_t least, most;
};

/// Those of the calling thread; false where its time slice cannot be set: before 6.12 the slice of
/// SCHED_OTHER reads as zero, and a request would be ignored.
inline bool read_slice(SchedAttributes& attributes) noexcept {
  constexpr std::uint32_t sched_other = 0;
  attributes = {};
  attributes.size = sizeof attributes;
  return syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0u) == 0 &&
         attributes.policy == sched_other && attributes.runtime != 0;
}
#endif

/// Would wake_up_soon() be heard? Changes nothing.
inline bool can_wake_up_soon() noexcept {
#if defined(__linux__) && defined(SYS_sched_setattr)
  SchedAttributes attributes;
  return read_slice(attributes);
#else
  return false;
#endif
}

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
  SchedAttributes attributes;
  if (!read_slice(attributes)) return false;
  attributes.runtime = 100'000;  // ns
  attributes.flags = 0;
  return syscall(SYS_sched_setattr, 0, &attributes, 0u) == 0;
#else
  return false;
#endif
}

}  // namespace cohort::detail
