// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cores.hpp: how many threads of this process can run at once: affinity, and the quota of containers.
#pragma once
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace cohort {

/// CPU seconds a second that the control groups of this process leave it: the least of any group above.
struct CpuQuota {
  std::optional<double> cpus;           // nothing: no limit
  std::vector<std::string> unreadable;  // files that are there but hold no limit
};

namespace detail {

/// The head of a small file below root; nothing if it cannot be read.
inline std::optional<std::string> head_of(const std::string& root, const std::string& path) {
  std::FILE* file = std::fopen((root + path).c_str(), "re");
  if (!file) return {};
  char text[4096];
  const std::size_t size = std::fread(text, 1, sizeof text, file);
  const bool failed = std::ferror(file) != 0;  // a directory can be opened, not read
  std::fclose(file);
  if (failed) return {};
  return std::string(text, size);
}

/// A limit of one group: "150000 100000" or "max 100000" (version 2); -1 is no limit (version 1).
inline void read_quota(std::string_view text, const std::string& file, CpuQuota& quota) {
  const auto word = [&text] {
    constexpr std::string_view space = " \t\r\n";
    text.remove_prefix(std::min(text.find_first_not_of(space), text.size()));
    const std::string_view first = text.substr(0, text.find_first_of(space));
    text.remove_prefix(first.size());
    return first;
  };
  const auto number = [](std::string_view digits) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() ? value : 0;
  };
  const std::string_view limit = word(), period = word();
  if (limit == "max" || limit == "-1") return;
  if (number(limit) == 0 || number(period) == 0 || !word().empty()) {
    quota.unreadable.push_back(file);
    return;
  }
  const double cpus = static_cast<double>(number(limit)) / static_cast<double>(number(period));
  quota.cpus = std::min(quota.cpus.value_or(cpus), cpus);
}

}  // namespace detail

/// Reads control groups of version 2, version 1, and both at once. In a container the path may be the
/// host's: folders that are not there are passed over, and the last one is the root.
///
/// Source   Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/; proc_pid_cgroup(5).
inline CpuQuota cpu_quota(const std::string& root = "") {
  CpuQuota quota;
  const std::string groups = detail::head_of(root, "/proc/self/cgroup").value_or("");
  std::string_view lines = groups;
  while (!lines.empty()) {  // number:controllers:path
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers =
        "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
    const bool two = controllers == ",,";
    if (!two && controllers.find(",cpu,") == std::string::npos) continue;
    std::string path(line.substr(second + 1));
    const std::string mount = two ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    for (bool last = false; !last; path.resize(last ? 0 : path.find_last_of('/'))) {
      last = path.size() <= 1;
      const std::string folder = last ? mount : mount + path;
      const std::string file = folder + (two ? "/cpu.max" : "/cpu.cfs_quota_us");
      auto text = detail::head_of(root, file);
      if (!text) continue;
      if (!two) *text += " " + detail::head_of(root, folder + "/cpu.cfs_period_us").value_or("");
      detail::read_quota(*text, file, quota);
    }
  }
  return quota;
}

/// Threads that can run at once: hardware threads this process may use, within its quota, at least 1.
inline int usable_cores(unsigned hardware, const CpuQuota& quota) {
  const int threads = std::max(1, static_cast<int>(hardware));
  if (!quota.cpus || *quota.cpus >= threads) return threads;
  return std::max(1, static_cast<int>(*quota.cpus + 1e-6));
}
/// The same of this process, as it was when it was first asked.
inline int usable_cores() {
  static const int cores = usable_cores(std::thread::hardware_concurrency(), cpu_quota());
  return cores;
}

}  // namespace cohort
