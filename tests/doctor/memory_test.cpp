// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/memory_test.cpp: free memory, the group's limit, /dev/shm, limits of a process.
#include <cohort/doctor/memory.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::FakeSystem, test::contains, test::found;

namespace {

constexpr const char* limits =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max stack size            8388608              unlimited            bytes     \n"
    "Max processes             96365                96365                processes \n"
    "Max open files            1024                 20000                files     \n"
    "Max locked memory         65536                65536                bytes     \n"
    "Max address space         unlimited            unlimited            bytes     \n";

FakeSystem& meminfo(FakeSystem& fake, const char* available) {
  return fake.file("/proc/meminfo", std::string("MemTotal:       16777216 kB\nMemFree: 1 kB\n") +
                                        "MemAvailable:   " + available + " kB\n");
}
std::string with(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

}  // namespace

TEST_CASE("memory: enough of everything") {
  FakeSystem fake;
  meminfo(fake, "8388608").file("/proc/self/limits", limits).file("/dev/shm/x", "");
  const auto all = checkup::memory(fake.system);
  CHECK(found(all, "free memory").found == "8.00 GiB of 16.00 GiB");
  for (const char* name : {"free memory", "memory limit", "stack", "open files", "processes",
                           "address space", "locked memory"}) {
    CAPTURE(name);
    CHECK(found(all, name).verdict == Verdict::ok);
  }
  CHECK(test::all_say_what_helps(all));
}

TEST_CASE("memory: little is free; the kernel does not say") {
  FakeSystem fake;
  meminfo(fake, "1048576");
  CHECK(found(checkup::memory(fake.system), "free memory").verdict == Verdict::warning);
  FakeSystem none;
  CHECK(found(checkup::memory(none.system), "free memory").verdict == Verdict::note);
}

TEST_CASE("memory: a container's limit is a note; a full one, or one that has killed, a warning") {
  FakeSystem fake;
  meminfo(fake, "8388608")
      .file("/proc/self/cgroup", "0::/\n")
      .file("/sys/fs/cgroup/memory.max", "2147483648\n")
      .file("/sys/fs/cgroup/memory.current", "1073741824\n");
  Finding f = found(checkup::memory(fake.system), "memory limit");
  CHECK(f.verdict == Verdict::note);
  CHECK(f.found == "2.00 GiB for this container or job, 1.00 GiB of it free");
  fake.file("/sys/fs/cgroup/memory.current", "2100000000\n");
  CHECK(found(checkup::memory(fake.system), "memory limit").verdict == Verdict::warning);
  fake.file("/sys/fs/cgroup/memory.current", "9\n");
  fake.file("/sys/fs/cgroup/memory.events", "oom_kill 1\n");
  f = found(checkup::memory(fake.system), "memory limit");
  CHECK(f.verdict == Verdict::warning);
  CHECK(contains(f.found, "1 process was killed for want of memory"));
  fake.file("/sys/fs/cgroup/memory.events", "oom_kill 2\n");
  CHECK(contains(found(checkup::memory(fake.system), "memory limit").found,
                 "2 processes were killed"));
  fake.file("/sys/fs/cgroup/memory.max", "17179869184\n");  // all there is: no limit
  CHECK(found(checkup::memory(fake.system), "memory limit").verdict == Verdict::ok);
}

TEST_CASE("memory: limits of the process that are too low name the command that raises them") {
  const std::string rows[][4] = {
      {"8388608 ", "524288  ", "stack", "ulimit -s"},
      {"96365 ", "200   ", "processes", "ulimit -u"},
      {"1024 ", "256  ", "open files", "ulimit -n"},
      {"space         unlimited", "space         1073741824", "address space", "ulimit -v"}};
  for (const auto& [from, to, name, command] : rows) {
    CAPTURE(name);
    FakeSystem fake;
    fake.file("/proc/self/limits", with(limits, from, to));
    const Finding f = found(checkup::memory(fake.system), name);
    CHECK(f.verdict == Verdict::warning);
    CHECK(contains(f.fix, command));
  }
}

TEST_CASE("memory: locked memory matters where there is InfiniBand") {
  FakeSystem fake;
  fake.file("/proc/self/limits", limits).file("/sys/class/infiniband/mlx5_0/x", "");
  const Finding f = found(checkup::memory(fake.system), "locked memory");
  CHECK(f.verdict == Verdict::warning);
  CHECK(contains(f.found, "64.00 KiB"));
  CHECK(contains(f.fix, "memlock=-1"));
}

TEST_CASE("memory: /dev/shm as docker makes it is too small; a full one is to be emptied") {
  const auto shm = [](std::optional<checkup::Room> room) {
    checkup::Findings out("memory");
    checkup::shared_memory(room, out);
    return out.take().front();
  };
  CHECK(shm(checkup::Room{std::uint64_t{8} << 30, std::uint64_t{8} << 30}).verdict == Verdict::ok);
  const Finding docker = shm(checkup::Room{64 << 20, 64 << 20});
  CHECK(docker.verdict == Verdict::warning);
  CHECK(contains(docker.fix, "--shm-size"));
  CHECK(contains(shm(checkup::Room{1 << 30, 1 << 20}).fix, "/dev/shm"));
  CHECK(shm(std::nullopt).found == "is not there");
  FakeSystem without;
  CHECK(found(checkup::memory(without.system), "/dev/shm").verdict == Verdict::warning);
  CHECK_FALSE(checkup::room(without.path() / "none"));
  const auto here = checkup::room("/");
  REQUIRE(here);
  CHECK(here->bytes >= here->free_bytes);
}
