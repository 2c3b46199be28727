// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/cgroup.hpp: what the control groups of this process leave it of CPUs and memory (containers, Slurm, systemd).
#pragma once
#include <cohort/device/control_groups.hpp>
#include <cohort/device/cores.hpp>
#include <cohort/doctor/system.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::checkup {

/// The least that any group above this process allows. Nothing: no limit.
struct Cgroup {
  std::optional<double> cpus;           // CPU seconds a second
  std::optional<std::uint64_t> memory;  // bytes
  std::uint64_t memory_used = 0;        // bytes, of the group that has this limit
  std::uint64_t killed = 0;             // processes of the group, for want of memory
  std::vector<std::string> unreadable;  // files that are there but hold no such thing
};

namespace detail {

inline void read_memory(const System& system, const std::string& folder, bool two, Cgroup& group) {
  const std::string file = folder + (two ? "/memory.max" : "/memory.limit_in_bytes");
  const auto text = read(system, file);
  if (!text || trimmed(*text) == "max") return;
  const auto limit = number(trimmed(*text));
  if (!limit) {
    group.unreadable.push_back(file);
    return;
  }
  constexpr std::uint64_t unlimited = std::uint64_t{1}
                                      << 60;  // version 1 rounds the largest number
  if (*limit >= unlimited || *limit >= group.memory.value_or(unlimited)) return;
  group.memory = limit;
  const char* used = two ? "/memory.current" : "/memory.usage_in_bytes";
  group.memory_used = number(read_line(system, folder + used)).value_or(0);
  const auto events = read(system, folder + (two ? "/memory.events" : "/memory.oom_control"));
  for (const std::string& line : split(events.value_or(""), '\n'))
    if (line.starts_with("oom_kill ")) group.killed = number(line.substr(9)).value_or(0);
}

}  // namespace detail

/// Of version 2, version 1, and both at once (device/control_groups.hpp).
inline Cgroup cgroup(const System& system) {
  Cgroup group;
  CpuQuota quota = cpu_quota(system.root.string());
  group.cpus = quota.cpus;
  group.unreadable = std::move(quota.unreadable);
  cohort::detail::for_each_control_group(read(system, "/proc/self/cgroup").value_or(""), "memory",
                                         [&](const std::string& folder, bool two) {
                                           detail::read_memory(system, folder, two, group);
                                         });
  return group;
}

}  // namespace cohort::checkup
