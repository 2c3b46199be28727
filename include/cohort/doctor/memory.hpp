// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/memory.hpp: memory that is free, that may be used, that processes share; the limits of this process.
#pragma once
#include <sys/statvfs.h>

#include <cohort/core/readable_bytes.hpp>
#include <cohort/doctor/cgroup.hpp>
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>
#include <cohort/doctor/within.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::checkup {

/// Room of a file system.
struct Room {
  std::uint64_t bytes = 0, free_bytes = 0;
};
/// Nothing: there is no such directory, or the file system does not answer.
inline std::optional<Room> room(const std::filesystem::path& directory) {
  const auto asked = within(std::chrono::milliseconds(500), [directory] {
    struct statvfs s {};
    if (::statvfs(directory.c_str(), &s) != 0) return std::optional<Room>();
    return std::optional(
        Room{std::uint64_t{s.f_blocks} * s.f_frsize, std::uint64_t{s.f_bavail} * s.f_frsize});
  });
  return asked ? *asked : std::nullopt;
}

/// The soft limit of a row of /proc/self/limits; nothing: unlimited, or no such row.
inline std::optional<std::uint64_t> soft_limit(std::string_view limits, std::string_view row) {
  for (const std::string& line : split(limits, '\n')) {
    if (!line.starts_with(row)) continue;
    const auto columns = split(std::string_view(line).substr(row.size()), ' ');
    return columns.empty() ? std::nullopt : number(columns[0]);
  }
  return {};
}

namespace detail {

inline void free_memory(const System& system, Findings& out) {
  const auto meminfo = read(system, "/proc/meminfo");
  const auto kib = [&](std::string_view name) {
    const auto parts = split(field(meminfo.value_or(""), name), ' ');
    return parts.empty() ? 0 : number(parts[0]).value_or(0) * 1024;
  };
  const std::uint64_t all = kib("MemTotal"), free = kib("MemAvailable");
  if (all == 0) {
    out.note("free memory", "unknown: /proc/meminfo does not say", "Look at it with free -h.");
  } else {
    const std::string found = phrase(readable_bytes(free), " of ", readable_bytes(all));
    if (free >= all / 10)
      out.ok("free memory", found);
    else
      out.warning(
          "free memory", found,
          "See with top -o %MEM who holds it, or use a smaller batch; print(plan) says what a "
          "run needs.");
  }
  const Cgroup group = cgroup(system);
  if (!group.memory || (all != 0 && *group.memory >= all)) return out.ok("memory limit", "none");
  const std::uint64_t left = *group.memory - std::min(*group.memory, group.memory_used);
  const std::string found =
      phrase(readable_bytes(*group.memory), " for this container or job, ", readable_bytes(left),
             " of it free",
             group.killed == 0
                 ? ""
                 : phrase(", and ",
                          counted(static_cast<std::int64_t>(group.killed), "process", "processes"),
                          group.killed == 1 ? " was" : " were", " killed for want of memory"));
  const std::string fix =
      "Keep all ranks of this machine below it together (print(plan) says what one needs), or ask "
      "for "
      "more (docker --memory, Slurm's --mem).";
  if (group.killed > 0 || left < *group.memory / 10)
    out.warning("memory limit", found, fix);
  else
    out.note("memory limit", found, fix);
}

inline void limits(const System& system, Findings& out) {
  const auto text = read(system, "/proc/self/limits");
  if (!text) return;
  const auto at_least = [&](const char* name, const char* row, std::uint64_t enough, bool bytes,
                            const char* why, const char* fix) {
    const auto limit = soft_limit(*text, row);
    const std::string found = !limit  ? "unlimited"
                              : bytes ? readable_bytes(*limit)
                                      : std::to_string(*limit);
    if (!limit || *limit >= enough) return out.ok(name, found);
    out.warning(name, phrase(found, ": ", why), fix);
  };
  constexpr std::uint64_t any = std::uint64_t{1} << 62;
  at_least("stack", "Max stack size", 1 << 20, true, "too little for a main thread",
           "Run ulimit -s 8192 before the program.");
  at_least("open files", "Max open files", 1024, false,
           "many ranks with connections, and data in many files, want more",
           "Run ulimit -n 4096 before the program.");
  at_least("processes", "Max processes", 1024, false, "threads of all your programs count",
           "Run ulimit -u 4096 before the program, or ask whoever runs the machine.");
  at_least("address space", "Max address space", any, true,
           "CUDA reserves addresses for all memory of the machine and its GPUs",
           "Run ulimit -v unlimited before the program.");
  const bool fast_network = !names_in(system, "/sys/class/infiniband").empty();
  const auto locked = soft_limit(*text, "Max locked memory");
  if (locked && fast_network) {
    out.warning("locked memory",
                phrase(readable_bytes(*locked), ": InfiniBand and RoCE lock what they send"),
                "Run with ulimit -l unlimited (docker --ulimit memlock=-1; on a cluster its "
                "administrators set it).");
  } else {
    out.ok("locked memory", locked ? readable_bytes(*locked) : "unlimited");
  }
}

}  // namespace detail

/// Memory that ranks of one machine share: Open MPI and NCCL put their messages there. Threads need none.
inline void shared_memory(std::optional<Room> shm, Findings& out) {
  constexpr std::uint64_t enough = std::uint64_t{1} << 29, least = std::uint64_t{1} << 26;
  const char* fix =
      "Start the container with docker --shm-size=1g (Kubernetes: an emptyDir with medium Memory "
      "at "
      "/dev/shm).";
  if (!shm || shm->bytes == 0) return out.warning("/dev/shm", "is not there", fix);
  const std::string found =
      phrase(readable_bytes(shm->bytes), ", ", readable_bytes(shm->free_bytes), " free");
  if (shm->bytes < enough)
    return out.warning("/dev/shm", found + ": Open MPI and NCCL want more", fix);
  if (shm->free_bytes < least)
    return out.warning(
        "/dev/shm", found,
        "Look with ls -l /dev/shm for files that programs left behind, and remove them.");
  out.ok("/dev/shm", found);
}

/// Free memory, the group's limit, /dev/shm, huge pages, limits of this process.
inline std::vector<Finding> memory(const System& system) {
  Findings out("memory");
  detail::free_memory(system, out);
  shared_memory(room(system.root / "dev/shm"), out);
  detail::limits(system, out);
  return out.take();
}

}  // namespace cohort::checkup
