// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cores_test.cpp: a container's quota counts, however many processors it shows.
#include <cohort/device/cores.hpp>

#include <doctest/doctest.h>

#include <filesystem>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::FakeSystem;

namespace {

int cores_of(unsigned hardware, const FakeSystem& fake) {
  return usable_cores(hardware, cpu_quota(fake.path().string()));
}

TEST_CASE("usable_cores: whole CPUs of the quota, at least one, at most what there is") {
  CHECK(usable_cores(64, {}) == 64);
  CHECK(usable_cores(0, {}) == 1);  // the standard library does not know
  CHECK(usable_cores(64, {.cpus = 2.0, .unreadable = {}}) == 2);
  CHECK(usable_cores(64, {.cpus = 2.9, .unreadable = {}}) == 2);
  CHECK(usable_cores(64, {.cpus = 0.5, .unreadable = {}}) == 1);
  CHECK(usable_cores(2, {.cpus = 2.5, .unreadable = {}}) == 2);
  CHECK(usable_cores() >= 1);
  CHECK(usable_cores() <= static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
}

TEST_CASE("cpu_quota: docker run --cpus 1.5 on 64 processors, as the container sees it") {
  FakeSystem fake;
  CHECK(cores_of(64, fake) == 64);
  fake.file("/proc/self/cgroup", "0::/\n").file("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  CHECK(cpu_quota(fake.path().string()).cpus == 1.5);
  CHECK(cores_of(64, fake) == 1);
}

TEST_CASE("cpu_quota: version 1 and version 2 at once, the least of all groups above") {
  FakeSystem fake;
  fake.file("/proc/self/cgroup", "3:cpuset:/pod\n2:cpu,cpuacct:/pod/one\n0::/pod/one\n")
      .file("/sys/fs/cgroup/cpu/pod/one/cpu.cfs_quota_us", "-1\n")
      .file("/sys/fs/cgroup/cpu/pod/one/cpu.cfs_period_us", "100000\n")
      .file("/sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "800000\n")
      .file("/sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n");
  CHECK(cores_of(64, fake) == 8);
  fake.file("/sys/fs/cgroup/pod/cpu.max", "300000 100000\n");
  CHECK(cores_of(64, fake) == 3);
  fake.file("/sys/fs/cgroup/pod/one/cpu.max", "max 100000\n");
  CHECK(cores_of(64, fake) == 3);
}

TEST_CASE("cpu_quota: what cannot be understood is named and limits nothing") {
  FakeSystem fake;
  fake.file("/proc/self/cgroup", "0::/a\n1:\nnothing").file("/sys/fs/cgroup/a/cpu.max", "many");
  std::filesystem::create_directories(fake.path() / "sys/fs/cgroup/cpu.max");
  const CpuQuota quota = cpu_quota(fake.path().string());
  CHECK_FALSE(quota.cpus);
  CHECK(quota.unreadable == std::vector<std::string>{"/sys/fs/cgroup/a/cpu.max"});
}

}  // namespace
