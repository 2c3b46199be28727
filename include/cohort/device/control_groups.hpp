// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/control_groups.hpp: the folders that limit this process (containers, Slurm, systemd).
#pragma once
#include <algorithm>
#include <string>
#include <string_view>

namespace cohort::detail {

/// Calls f(folder, two) for the group that the process is in and for each one above it; `two` says that
/// the folder is of version 2. `memberships` is the text of /proc/self/cgroup, `controller` the name
/// that version 1 has ("cpu", "memory"). In a container the path may be the host's, so that folders
/// need not be there; the last one is the root. Lines that are none are passed over.
///
/// Source   Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/; proc_pid_cgroup(5).
template <class F>
void for_each_control_group(std::string_view memberships, std::string_view controller, F f) {
  while (!memberships.empty()) {  // number:controllers:path
    const std::string_view line = memberships.substr(0, memberships.find('\n'));
    memberships.remove_prefix(std::min(line.size() + 1, memberships.size()));
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers(line.substr(first + 1, second - first - 1));
    const bool two = controllers.empty();
    if (!two &&
        ("," + controllers + ",").find("," + std::string(controller) + ",") == std::string::npos)
      continue;
    const std::string mount = two ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + std::string(controller);
    std::string path(line.substr(second + 1));
    while (path.size() > 1 && path.front() == '/') {
      f(mount + path, two);
      path.resize(path.find_last_of('/'));
    }
    f(mount, two);
  }
}

}  // namespace cohort::detail
