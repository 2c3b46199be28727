// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/cgroup_test.cpp: limits of both versions, of any group above; files that hold no limit.
#include <cohort/doctor/cgroup.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using checkup::cgroup;
using test::FakeSystem;

TEST_CASE("cgroup: none, or none with a limit") {
  FakeSystem fake;
  CHECK_FALSE(cgroup(fake.system).cpus);
  CHECK_FALSE(cgroup(fake.system).memory);
  fake.file("/proc/self/cgroup", "0::/\n")
      .file("/sys/fs/cgroup/cpu.max", "max 100000\n")
      .file("/sys/fs/cgroup/memory.max", "max\n");
  const auto group = cgroup(fake.system);
  CHECK_FALSE(group.cpus);
  CHECK_FALSE(group.memory);
  CHECK(group.unreadable.empty());
}

TEST_CASE("cgroup: version 2, the least of the groups above counts") {
  FakeSystem fake;
  fake.file("/proc/self/cgroup", "0::/slurm/job_7/step_0\n")
      .file("/sys/fs/cgroup/slurm/job_7/step_0/cpu.max", "400000 100000\n")
      .file("/sys/fs/cgroup/slurm/job_7/cpu.max", "150000 100000\n")
      .file("/sys/fs/cgroup/slurm/job_7/memory.max", "1073741824\n")
      .file("/sys/fs/cgroup/slurm/job_7/memory.current", "1000\n")
      .file("/sys/fs/cgroup/slurm/job_7/memory.events", "low 0\noom 4\noom_kill 3\n")
      .file("/sys/fs/cgroup/slurm/memory.max", "4294967296\n");
  const auto group = cgroup(fake.system);
  CHECK(group.cpus == 1.5);
  CHECK(group.memory == 1u << 30);
  CHECK(group.memory_used == 1000);
  CHECK(group.killed == 3);
}

TEST_CASE("cgroup: in a container the path is the host's and only the root is there") {
  FakeSystem fake;
  fake.file("/proc/self/cgroup", "0::/docker/0123abc\n")
      .file("/sys/fs/cgroup/cpu.max", "300000 100000");
  CHECK(cgroup(fake.system).cpus == 3.0);
}

TEST_CASE("cgroup: version 1, whose largest number means none") {
  FakeSystem fake;
  fake.file("/proc/self/cgroup", "9:name=systemd:/\n4:memory:/a\n2:cpu,cpuacct:/a\n0::/\n")
      .file("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "250000\n")
      .file("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n")
      .file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
      .file("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  const auto group = cgroup(fake.system);
  CHECK(group.cpus == 2.5);
  CHECK_FALSE(group.memory);
  CHECK(group.unreadable.empty());
  fake.file("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "2097152\n");
  CHECK(cgroup(fake.system).memory == 2u << 20);
}

TEST_CASE("cgroup: broken files are named, and the others still read") {
  for (const char* text : {"", "garbage", "100000", "a b", "100000 0", "-5 100000", "1e5 100000"}) {
    CAPTURE(text);
    FakeSystem fake;
    fake.file("/proc/self/cgroup", "0::/\n")
        .file("/sys/fs/cgroup/cpu.max", text)
        .file("/sys/fs/cgroup/memory.max", "4096");
    const auto group = cgroup(fake.system);
    CHECK_FALSE(group.cpus);
    CHECK(group.memory == 4096);
    CHECK(group.unreadable == std::vector<std::string>{"/sys/fs/cgroup/cpu.max"});
  }
  FakeSystem fake;
  fake.file("/proc/self/cgroup", "no colon\n1:\n::\n").file("/sys/fs/cgroup/memory.max", "lots");
  CHECK(cgroup(fake.system).unreadable == std::vector<std::string>{"/sys/fs/cgroup/memory.max"});
}
