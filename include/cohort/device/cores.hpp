// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cores.hpp: how many threads of this process can run at once: affinity, and the quota of containers.
#pragma once
#include <algorithm>
#include <charconv>
#include <cohort/device/control_groups.hpp>
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

/// The head of a file below root, at most 64 KiB of it; nothing if it cannot be read.
inline std::optional<std::string> head_of(const std::string& root, const std::string& path) {
  std::FILE* file = std::fopen((root + path).c_str(), "re");
  if (!file) return {};
  std::string text(65536, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  const bool failed = std::ferror(file) != 0;  // a directory can be opened, not read
  std::fclose(file);
  if (failed) return {};
  return text;
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

/// What the control groups of this process say, of version 2, version 1, or both at once; files are
/// looked for below `root`.
inline CpuQuota cpu_quota(const std::string& root = "") {
  CpuQuota quota;
  const auto memberships = detail::head_of(root, "/proc/self/cgroup");
  detail::for_each_control_group(
      memberships.value_or(""), "cpu", [&](const std::string& folder, bool two) {
        const std::string file = folder + (two ? "/cpu.max" : "/cpu.cfs_quota_us");
        auto text = detail::head_of(root, file);
        if (!text) return;
        if (!two) *text += " " + detail::head_of(root, folder + "/cpu.cfs_period_us").value_or("");
        detail::read_quota(*text, file, quota);
      });
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
