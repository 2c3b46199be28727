// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/kernel_test.cpp: clock, time slices, huge pages.
#include <cohort/doctor/kernel.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::FakeSystem, test::contains, test::found;

namespace {
constexpr const char* clocks = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
constexpr const char* pages = "/sys/kernel/mm/transparent_hugepage/enabled";
}  // namespace

TEST_CASE("kernel: as it should be") {
  FakeSystem fake;
  fake.file("/proc/sys/kernel/osrelease", "6.18.1\n")
      .file(clocks, "tsc\n")
      .file(pages, "always [madvise] never\n");
  const auto all = checkup::kernel(fake.system, true);
  CHECK(worst(all) == Verdict::ok);
  CHECK(found(all, "kernel").found == "Linux 6.18.1");
  CHECK(found(all, "huge pages").found == "where programs ask");
}

TEST_CASE("kernel: no short slices, a slow clock, no huge pages: each says what helps") {
  FakeSystem fake;
  fake.file(clocks, "hpet\n").file(pages, "always madvise [never]\n");
  const auto all = checkup::kernel(fake.system, false);
  CHECK(found(all, "time slices").verdict == Verdict::note);
  CHECK(found(all, "clock").verdict == Verdict::warning);
  CHECK(contains(found(all, "clock").fix, "clocksource=tsc"));
  CHECK(found(all, "huge pages").verdict == Verdict::note);
  CHECK(test::all_say_what_helps(all));
}

TEST_CASE("kernel: without these files nothing is claimed") {
  FakeSystem fake;
  CHECK(worst(checkup::kernel(fake.system, true)) == Verdict::ok);
}
