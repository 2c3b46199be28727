// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/control_groups_test.cpp: the folders of a membership from the group up to the root; broken lines do no harm.
#include <cohort/device/control_groups.hpp>

#include <doctest/doctest.h>

namespace {

std::string folders(std::string_view memberships, std::string_view controller) {
  std::string out;
  cohort::detail::for_each_control_group(
      memberships, controller,
      [&](const std::string& folder, bool two) { out += folder + (two ? "=2 " : "=1 "); });
  return out;
}

TEST_CASE("for_each_control_group: version 2, upwards; the root is the last") {
  CHECK(folders("0::/\n", "cpu") == "/sys/fs/cgroup=2 ");
  CHECK(folders("0::/slurm/job_7\n", "cpu") ==
        "/sys/fs/cgroup/slurm/job_7=2 /sys/fs/cgroup/slurm=2 /sys/fs/cgroup=2 ");
}

TEST_CASE("for_each_control_group: version 1 by the controller's name, both versions at once") {
  constexpr const char* both = "3:cpuset:/pod\n2:cpu,cpuacct:/a\n4:memory:/b\n0::/c";
  CHECK(folders(both, "cpu") ==
        "/sys/fs/cgroup/cpu/a=1 /sys/fs/cgroup/cpu=1 /sys/fs/cgroup/c=2 /sys/fs/cgroup=2 ");
  CHECK(folders(both, "memory") ==
        "/sys/fs/cgroup/memory/b=1 /sys/fs/cgroup/memory=1 /sys/fs/cgroup/c=2 /sys/fs/cgroup=2 ");
}

TEST_CASE("for_each_control_group: lines that are none, and paths that do not begin at the root") {
  CHECK(folders("", "cpu").empty());
  CHECK(folders("no colon\n1:\n\n", "cpu").empty());
  CHECK(folders("0::path", "cpu") == "/sys/fs/cgroup=2 ");
  CHECK(folders("0::", "cpu") == "/sys/fs/cgroup=2 ");
}

}  // namespace
