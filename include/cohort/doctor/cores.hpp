// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/cores.hpp: how many cores there are, how many of them may be used, how they belong together.
#pragma once
#include <cohort/doctor/cgroup.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

namespace cohort::checkup {

/// The CPUs (hardware threads) of the machine, and those that this process may run on.
struct Cpus {
  std::vector<int> present, allowed;
};
/// Cores of the machine, and those that this process may use.
inline Cpus cpus(const System& system) {
  Cpus out;
  out.present = number_list(read_line(system, "/sys/devices/system/cpu/online"));
  const auto status = read(system, "/proc/self/status");
  out.allowed = number_list(field(status.value_or(""), "Cpus_allowed_list"));
  return out;
}

namespace detail {

inline std::string one_decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

inline void allowed_cores(const System& system, const Cpus& cpus, Findings& out) {
  const int present = static_cast<int>(cpus.present.size());
  const int allowed = static_cast<int>(cpus.allowed.size());
  if (present == 0 || allowed == 0) {
    out.note("CPUs", "unknown: /proc or /sys does not say",
             "Give the number of ranks yourself with --ranks N.");
    return;
  }
  const std::string found = phrase(allowed, " of ", present, " allowed");
  if (allowed == present) return out.ok("CPUs", found);
  const bool by_mpirun = system.environment("OMPI_COMM_WORLD_LOCAL_RANK") != nullptr;
  out.note("CPUs", found + (by_mpirun ? ", as mpirun has bound this rank" : ""),
           by_mpirun ? "Where a rank has a worker thread, start with mpirun --map-by slot:PE=2, or "
                       "--bind-to none."
                     : phrase("Use at most ", counted(allowed, "rank"),
                              ", or ask for more (taskset, docker --cpuset-cpus, Slurm's "
                              "--cpus-per-task)."));
}

inline void quota(const System& system, const Cpus& cpus, Findings& out) {
  const Cgroup group = cgroup(system);
  if (!group.unreadable.empty()) {
    out.note("cgroup", phrase("no limit can be read from ", listed(group.unreadable)),
             "Compare the speed of 1, 2, 4, ... ranks: a limit that is not seen here still holds.");
  }
  if (!group.cpus) return out.ok("CPU quota", "none");
  const int whole = std::max(1, static_cast<int>(std::floor(*group.cpus + 1e-6)));
  const std::string found = phrase(one_decimal(*group.cpus), " CPUs a second");
  if (*group.cpus >= static_cast<double>(cpus.allowed.size())) return out.ok("CPU quota", found);
  out.warning("CPU quota",
              phrase(found, ", though ", counted(static_cast<int>(cpus.allowed.size()), "CPU"),
                     " may be used: all ranks stand still when it is used up"),
              phrase("Use at most --ranks ", whole,
                     ", or raise the limit of the container (docker --cpus, Kubernetes "
                     "limits.cpu)."));
}

/// How the allowed CPUs lie on cores, sockets and memory.
inline void topology(const System& system, const Cpus& cpus, Findings& out) {
  std::set<std::string> cores, packages;
  for (int cpu : cpus.allowed) {
    const std::string folder = phrase("/sys/devices/system/cpu/cpu", cpu, "/topology/");
    std::string siblings = read_line(system, folder + "core_cpus_list");
    if (siblings.empty()) siblings = read_line(system, folder + "thread_siblings_list");
    if (!siblings.empty()) cores.insert(siblings);
    if (std::string s = read_line(system, folder + "physical_package_id"); !s.empty())
      packages.insert(s);
  }
  const int num_cores = static_cast<int>(cores.size());
  if (num_cores > 0 && num_cores < static_cast<int>(cpus.allowed.size())) {
    out.note("threads",
             phrase(counted(static_cast<int>(cpus.allowed.size()), "CPU"), " on ",
                    counted(num_cores, "core"), ": two share its arithmetic units"),
             phrase("Try --ranks ", num_cores, " first: more than one rank a core seldom helps."));
  } else if (num_cores > 0) {
    out.ok("threads", "one CPU a core");
  }
  std::vector<std::string> nodes;
  for (const std::string& each : names_in(system, "/sys/devices/system/node")) {
    if (!each.starts_with("node") || !number(each.substr(4))) continue;
    const auto list =
        number_list(read_line(system, "/sys/devices/system/node/" + each + "/cpulist"));
    const bool ours = std::any_of(list.begin(), list.end(), [&](int cpu) {
      return std::find(cpus.allowed.begin(), cpus.allowed.end(), cpu) != cpus.allowed.end();
    });
    if (ours) nodes.push_back(each.substr(4));
  }
  if (nodes.size() > 1) {
    out.note(
        "memory nodes",
        phrase("the allowed CPUs lie on ", counted(static_cast<int>(nodes.size()), "NUMA node"),
               " (", listed(nodes), ") of ", counted(static_cast<int>(packages.size()), "socket")),
        "Keep each rank at its memory: mpirun --map-by numa --bind-to numa, or one process a "
        "node with numactl --cpunodebind=N --membind=N.");
  } else if (!nodes.empty()) {
    out.ok("memory nodes", "one");
  }
}

inline void load(const System& system, const Cpus& cpus, Findings& out) {
  const std::string text = read_line(system, "/proc/loadavg");
  if (text.empty()) return;
  const double load = std::strtod(text.c_str(), nullptr);
  const std::string found = phrase(one_decimal(load), " in the last minute");
  if (load < 0.5 * static_cast<double>(std::max<std::size_t>(1, cpus.present.size()))) {
    return out.ok("load", found);
  }
  out.note("load", phrase(found, " on ", counted(static_cast<int>(cpus.present.size()), "CPU")),
           "See with top who else computes: ranks wait for the slowest, and times mean little.");
}

inline void frequency(const System& system, Findings& out) {
  const std::string folder = "/sys/devices/system/cpu/cpu0/cpufreq/";
  const std::string governor = read_line(system, folder + "scaling_governor");
  const std::string driver = read_line(system, folder + "scaling_driver");
  if (governor.empty()) return;
  // The powersave of these two drivers raises the frequency under load; elsewhere it is the lowest.
  const bool slow = governor == "powersave" && !driver.starts_with("intel_pstate") &&
                    !driver.starts_with("amd-pstate") && !driver.starts_with("amd_pstate");
  if (!slow) return out.ok("frequency", phrase(governor, " (", driver, ")"));
  out.warning("frequency", phrase(governor, " (", driver, "): the lowest"),
              "Run cpupower frequency-set -g performance, or ask whoever runs the machine.");
}

}  // namespace detail

/// CPUs that are allowed by affinity and by quota, cores, memory nodes, load, frequency.
inline std::vector<Finding> cores(const System& system) {
  Findings out("cores");
  const Cpus all = cpus(system);
  detail::allowed_cores(system, all, out);
  detail::quota(system, all, out);
  detail::topology(system, all, out);
  detail::load(system, all, out);
  detail::frequency(system, out);
  return out.take();
}

}  // namespace cohort::checkup
