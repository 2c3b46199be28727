// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/edited_test.cpp: the host edits a device's memory in place or through an image.
#include <cohort/policies/edited.hpp>

#include <doctest/doctest.h>

#include <cohort/device/cpu.hpp>
#include <cstring>

/// A device of another kind: its memory may only be reached by upload and download.
struct Far {
  struct Memory : cohort::HostMemory {
    using HostMemory::HostMemory;
  };
  mutable int uploads = 0, downloads = 0;
  void upload(void* to, const void* from, std::size_t n) const {
    std::memcpy(to, from, n);
    ++uploads;
  }
  void download(void* to, const void* from, std::size_t n) const {
    std::memcpy(to, from, n);
    ++downloads;
  }
};
template <> inline constexpr bool cohort::on_host<Far> = false;

using namespace cohort;

namespace {

TEST_CASE("Edited: on the host a place is its own") {
  detail::Edited<DefaultCpu> memory(256);
  memory.open(DefaultCpu{});
  float* p = memory.as<float>() + 5;
  CHECK(memory.host(p) == p);
  *memory.host(p) = 3;
  memory.close(DefaultCpu{});
  CHECK(memory.as<float>()[5] == 3);
}

TEST_CASE("Edited: elsewhere nothing changes before close(), and what was not edited stays") {
  const Far device;
  detail::Edited<Far> memory(256);
  float* p = memory.as<float>();
  p[4] = 4, p[5] = 5;
  memory.open(device);
  CHECK(memory.host(p + 5) != p + 5);
  CHECK(*memory.host(p + 5) == 5);
  *memory.host(p + 5) = 50;
  CHECK(p[5] == 5);
  memory.close(device);
  CHECK((p[4] == 4 && p[5] == 50));
  CHECK((device.uploads == 1 && device.downloads == 1));
}

}  // namespace
