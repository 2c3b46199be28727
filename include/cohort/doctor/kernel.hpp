// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/kernel.hpp: what of the operating system makes ranks quick: clock, time slices, huge pages.
#pragma once
#include <cohort/device/time_slice.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace cohort::checkup {

/// `short_slices`: does the kernel let a thread ask for a short time slice?
inline std::vector<Finding> kernel(const System& system,
                                   bool short_slices = cohort::detail::can_wake_up_soon()) {
  Findings out("system");
  const std::string release = read_line(system, "/proc/sys/kernel/osrelease");
  out.ok("kernel", release.empty() ? "unknown" : "Linux " + release);

  if (short_slices)
    out.ok("time slices", "a rank's communication thread gets short ones");
  else
    out.note(
        "time slices", "this kernel (before Linux 6.12), or this policy, has no short ones",
        "Where ranks are more than cores, communication starts up to 3 ms late: use fewer ranks, "
        "or a newer kernel.");

  const std::string clock =
      read_line(system, "/sys/devices/system/clocksource/clocksource0/current_clocksource");
  const bool slow = clock == "hpet" || clock == "acpi_pm" || clock == "jiffies" || clock == "xen";
  if (clock.empty()) {
    out.ok("clock", "unknown");
  } else if (slow) {
    out.warning("clock", clock + ": reading it takes a system call or more",
                "Boot with clocksource=tsc if the CPU's is reliable (dmesg | grep -i tsc), or take "
                "another kind of virtual machine.");
  } else {
    out.ok("clock", clock);
  }

  const std::string pages = read_line(system, "/sys/kernel/mm/transparent_hugepage/enabled");
  if (pages.find("[never]") != pages.npos)
    out.note("huge pages", "never: large arenas are made of pages of 4 KiB",
             "Run echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, as root.");
  else if (!pages.empty())
    out.ok("huge pages", pages.find("[always]") != pages.npos ? "always" : "where programs ask");
  return out.take();
}

}  // namespace cohort::checkup
