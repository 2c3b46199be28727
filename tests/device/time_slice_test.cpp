// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/time_slice_test.cpp: where the system knows short time slices, a thread gets one, and no other thread.
#include <cohort/device/time_slice.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <sys/resource.h>
#endif

using namespace cohort;

#if defined(__linux__) && defined(SYS_sched_setattr)

namespace {

/// The thread's slice in ns, as the system says; 0 where it does not.
std::uint64_t slice() {
  unsigned char attributes[64] = {};
  std::uint64_t runtime = 0;
  if (syscall(SYS_sched_getattr, 0, attributes, sizeof attributes, 0u) != 0) return 0;
  std::memcpy(&runtime, attributes + 24, sizeof runtime);  // size, policy, flags, nice, priority
  return runtime;
}

TEST_CASE("wake_up_soon: the slice is 0.1 ms, nice and policy stay, other threads keep theirs") {
  const std::uint64_t before = slice();
  std::uint64_t after = 0;
  int nice = -1, policy = -1;
  bool granted = false;
  std::thread([&] {
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 3);
    CHECK(detail::can_wake_up_soon() == (before != 0));
    CHECK(slice() == before);
    granted = detail::wake_up_soon();
    after = slice();
    nice = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
    policy = sched_getscheduler(0);
  }).join();
  CHECK(granted == (before != 0));
  CHECK(after == (granted ? 100'000 : before));
  CHECK(nice == 3);
  CHECK(policy == SCHED_OTHER);
  CHECK(slice() == before);
}

TEST_CASE("wake_up_soon: a thread of another policy is left alone") {
  std::thread([] {
    sched_param parameter{};
    REQUIRE(sched_setscheduler(0, SCHED_BATCH, &parameter) == 0);
    CHECK(!detail::can_wake_up_soon());
    CHECK(!detail::wake_up_soon());
    CHECK(sched_getscheduler(0) == SCHED_BATCH);
  }).join();
}

}  // namespace

#else

TEST_CASE("wake_up_soon: says no where there is nothing to ask") { CHECK(!detail::wake_up_soon()); }

#endif
