// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/gpus_test.cpp: GPUs as files show them: none, without driver, not handed in, hidden.
#include <cohort/doctor/gpus.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::FakeSystem, test::contains, test::found;

namespace {

/// A machine with `count` GPUs: on the bus, with the driver, and `given` of them in /dev.
void gpus(FakeSystem& fake, int count, int given, const char* driver = "535.104.05") {
  for (int i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    fake.file("/sys/bus/pci/devices/0000:0" + n + ":00.0/vendor", "0x10de\n");
    fake.file("/sys/bus/pci/devices/0000:0" + n + ":00.0/class", "0x030200\n");
    if (driver == nullptr) continue;
    fake.file("/proc/driver/nvidia/gpus/0000:0" + n + ":00.0/information",
              "Model: \t\t NVIDIA H100\nGPU UUID:   \t GPU-" + n + "abc-def\n");
  }
  for (int i = 0; i < given; ++i) fake.file("/dev/nvidia" + std::to_string(i), "");
  if (given > 0) fake.file("/dev/nvidiactl", "").file("/dev/nvidia-uvm", "");
  if (driver != nullptr)
    fake.file("/proc/driver/nvidia/version",
              std::string("NVRM version: NVIDIA UNIX x86_64 Kernel Module  ") + driver +
                  "  Sat Aug 19\nGCC version:  gcc version 12.2.0\n");
}
Finding visible(int count, const char* value) {
  FakeSystem fake;
  gpus(fake, count, count);
  fake.variables({{"CUDA_VISIBLE_DEVICES", value}});
  const auto all = checkup::gpus(fake.system);
  CHECK(test::all_say_what_helps(all));
  return found(all, "CUDA_VISIBLE_DEVICES");
}
Finding nvidia(const FakeSystem& fake) {
  const auto all = checkup::gpus(fake.system);
  CHECK(test::all_say_what_helps(all));
  return found(all, "NVIDIA");
}

}  // namespace

TEST_CASE("gpus: none; eight with a driver, the open one too") {
  FakeSystem none, eight, open;
  none.file("/sys/bus/pci/devices/0000:00:01.0/vendor", "0x8086\n")
      .file("/sys/bus/pci/devices/0000:00:01.0/class", "0x030000\n");
  CHECK(nvidia(none).found == "none: cohort trains on the CPU");
  gpus(eight, 8, 8);
  CHECK(nvidia(eight).found == "8 GPUs, driver 535.104.5");
  CHECK(nvidia(eight).verdict == Verdict::ok);
  gpus(open, 1, 1);
  open.file("/proc/driver/nvidia/version",
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n");
  CHECK(nvidia(open).found == "1 GPU, driver 580.65.6");
}

TEST_CASE("gpus: no driver, one that is too old, and a container that was given none") {
  FakeSystem without, old, container;
  gpus(without, 1, 0, nullptr);
  CHECK(nvidia(without).verdict == Verdict::warning);
  CHECK(contains(nvidia(without).found, "driver is not loaded"));
  gpus(old, 1, 1, "470.57.02");
  CHECK(nvidia(old).verdict == Verdict::warning);
  CHECK(contains(nvidia(old).found, "too old"));
  gpus(container, 4, 0);
  CHECK(contains(nvidia(container).fix, "docker --gpus all"));
}

TEST_CASE("gpus: CUDA_VISIBLE_DEVICES names what is there, or CUDA leaves it out in silence") {
  CHECK(visible(4, "0,3").verdict == Verdict::ok);
  CHECK(visible(4, "GPU-1abc").verdict == Verdict::ok);
  CHECK(visible(4, "MIG-x").verdict == Verdict::ok);
  CHECK(visible(4, "0,4,1").verdict == Verdict::problem);
  CHECK(contains(visible(4, "0,4,1").found, "no GPU 4 among 4"));
  CHECK(contains(visible(4, "0,4,1").fix, "0 to 3"));
  CHECK(visible(4, "GPU-9").verdict == Verdict::problem);
  CHECK(visible(4, "1,1").verdict == Verdict::problem);
  CHECK(visible(4, "one").verdict == Verdict::problem);
  CHECK(visible(4, "").verdict == Verdict::warning);
  CHECK(visible(4, "-1").verdict == Verdict::warning);
  CHECK(visible(0, "0").verdict == Verdict::warning);
  CHECK(visible(0, "").verdict == Verdict::ok);
}
