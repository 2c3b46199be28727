// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/cores_test.cpp: affinity, quota, threads of a core, memory nodes, load, frequency.
#include <cohort/doctor/cores.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::FakeSystem, test::contains, test::found;

namespace {

/// `present` CPUs, two to a core if asked, of which `allowed` may be used.
void cpus(FakeSystem& fake, int present, const std::string& allowed, bool two_a_core = false) {
  fake.file("/sys/devices/system/cpu/online", "0-" + std::to_string(present - 1) + "\n");
  fake.file("/proc/self/status",
            "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t" + allowed + "\n");
  for (int i = 0; i < present; ++i) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/";
    const int other = (i + present / 2) % present;
    std::string list =
        std::to_string(std::min(i, other)) + "," + std::to_string(std::max(i, other));
    fake.file(folder + "core_cpus_list", two_a_core ? list : std::to_string(i));
    fake.file(folder + "physical_package_id", std::to_string(i * 2 / present));
  }
}

}  // namespace

TEST_CASE("cores: all allowed, no quota: nothing to say") {
  FakeSystem fake;
  cpus(fake, 4, "0-3");
  fake.file("/proc/loadavg", "0.10 0.2 0.3 1/99 5\n");
  const auto all = checkup::cores(fake.system);
  CHECK(worst(all) == Verdict::ok);
  CHECK(found(all, "CPUs").found == "4 of 4 allowed");
  CHECK(found(all, "CPU quota").found == "none");
  CHECK(found(all, "threads").found == "one CPU a core");
}

TEST_CASE("cores: 3 of 64 allowed") {
  FakeSystem fake;
  cpus(fake, 64, "0-1,40");
  const auto all = checkup::cores(fake.system);
  const Finding f = found(all, "CPUs");
  CHECK(f.verdict == Verdict::note);
  CHECK(f.found == "3 of 64 allowed");
  CHECK(contains(f.fix, "at most 3 ranks"));
  CHECK(test::all_say_what_helps(all));
  fake.variables({{"OMPI_COMM_WORLD_LOCAL_RANK", "0"}});
  CHECK(contains(found(checkup::cores(fake.system), "CPUs").fix, "--bind-to none"));
}

TEST_CASE("cores: a quota below the CPUs is a warning with the ranks it leaves room for") {
  FakeSystem fake;
  cpus(fake, 8, "0-7");
  fake.file("/proc/self/cgroup", "0::/\n").file("/sys/fs/cgroup/cpu.max", "250000 100000\n");
  const Finding f = found(checkup::cores(fake.system), "CPU quota");
  CHECK(f.verdict == Verdict::warning);
  CHECK(contains(f.found, "2.5 CPUs a second, though 8 CPUs may be used"));
  CHECK(contains(f.fix, "--ranks 2,"));
  fake.file("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  CHECK(contains(found(checkup::cores(fake.system), "CPU quota").fix, "--ranks 1,"));
  fake.file("/sys/fs/cgroup/cpu.max", "800000 100000\n");
  CHECK(found(checkup::cores(fake.system), "CPU quota").verdict == Verdict::ok);
}

TEST_CASE("cores: a broken cgroup is said, and is no quota") {
  FakeSystem fake;
  cpus(fake, 2, "0-1");
  fake.file("/proc/self/cgroup", "0::/\n").file("/sys/fs/cgroup/cpu.max", "?");
  const auto all = checkup::cores(fake.system);
  CHECK(found(all, "cgroup").verdict == Verdict::note);
  CHECK(contains(found(all, "cgroup").found, "/sys/fs/cgroup/cpu.max"));
  CHECK(found(all, "CPU quota").verdict == Verdict::ok);
}

TEST_CASE("cores: two hardware threads a core, two memory nodes") {
  FakeSystem fake;
  cpus(fake, 8, "0-7", true);
  fake.file("/sys/devices/system/node/node0/cpulist", "0-3\n")
      .file("/sys/devices/system/node/node1/cpulist", "4-7\n")
      .file("/sys/devices/system/node/possible", "0-1\n");
  auto all = checkup::cores(fake.system);
  CHECK(found(all, "threads").verdict == Verdict::note);
  CHECK(contains(found(all, "threads").fix, "--ranks 4 "));
  CHECK(found(all, "memory nodes").verdict == Verdict::note);
  CHECK(contains(found(all, "memory nodes").found, "2 NUMA nodes (0, 1) of 2 sockets"));
  cpus(fake, 8, "4-5", true);  // all of them on one node, on two cores
  all = checkup::cores(fake.system);
  CHECK(found(all, "threads").verdict == Verdict::ok);
  CHECK(found(all, "memory nodes").verdict == Verdict::ok);
}

TEST_CASE("cores: others that compute, and a frequency that is held low") {
  FakeSystem fake;
  cpus(fake, 4, "0-3");
  fake.file("/proc/loadavg", "6.25 1 1 1/1 1\n")
      .file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
      .file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "acpi-cpufreq\n");
  auto all = checkup::cores(fake.system);
  CHECK(found(all, "load").verdict == Verdict::note);
  CHECK(contains(found(all, "load").found, "6.2"));
  CHECK(found(all, "frequency").verdict == Verdict::warning);
  fake.file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver", "intel_pstate\n");
  CHECK(found(checkup::cores(fake.system), "frequency").verdict == Verdict::ok);
}

TEST_CASE("cores: a system without these files is a note, not an end") {
  FakeSystem fake;
  const auto all = checkup::cores(fake.system);
  CHECK(found(all, "CPUs").verdict == Verdict::note);
  CHECK(worst(all) == Verdict::note);
}
