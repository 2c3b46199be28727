// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/device_test.cpp: the device that ops run on: its workspace, and bytes to it and from it.
#include <cohort/device/cuda/device.hpp>
#include <cohort/device/cuda/stream.hpp>

#include <doctest/doctest.h>

#include <array>
#include <support/cuda_double/double.hpp>
#include <type_traits>

using namespace cohort;

namespace {

static_assert(std::is_trivially_copyable_v<Cuda>);
static_assert(std::is_same_v<Cuda::Memory, cuda::Memory>);

TEST_CASE("Cuda: an op takes from the beginning of the workspace, or is told how much is missing") {
  cuda_double::reset();
  const cuda::Memory memory(1024);
  const Cuda device{.workspace = memory.as<std::byte>(), .workspace_bytes = memory.bytes()};
  CHECK(device.take<float>(256, "op") == memory.as<float>());
  CHECK(device.take<double>(128, "op") == memory.as<double>());
  CHECK_THROWS_WITH_AS(
      device.take<float>(257, "layer_norm"),
      "cohort: layer_norm: 1028 bytes of workspace are needed, 1024 are there: use more "
      "micro-batches (GradAccum) of fewer rows.",
      ContractBroken);
}

TEST_CASE("Cuda: upload, copy, zero and download move the same bytes, in the stream's order") {
  cuda_double::reset();
  cuda_double::delay(nullptr, std::chrono::microseconds(200));
  const cuda::Stream stream;
  const Cuda device{.stream = stream.native()};
  const cuda::Memory a(64), b(64);
  const std::array<int, 8> in{1, 2, 3, 4, 5, 6, 7, 8};
  std::array<int, 8> out{};
  device.upload(a.as<void>(), in.data(), sizeof in);
  device.copy(b.as<void>(), a.as<void>(), sizeof in);
  device.zero(b.as<int>() + 2, 3 * sizeof(int));
  device.download(out.data(), b.as<void>(), sizeof out);
  CHECK(out == std::array<int, 8>{1, 2, 0, 0, 0, 6, 7, 8});
  cuda_double::reset();
}

TEST_CASE("Cuda: no bytes are no call, and a pointer of the wrong side is an error") {
  cuda_double::reset();
  const cuda::Stream stream;
  const Cuda device{.stream = stream.native()};
  const cuda::Memory memory(64);
  std::array<char, 128> host{};
  device.zero(nullptr, 0);
  device.copy(nullptr, nullptr, 0);
  device.upload(nullptr, nullptr, 0);
  CHECK_THROWS_AS(device.upload(host.data(), host.data(), 8), Error);
  CHECK_THROWS_AS(device.copy(memory.as<void>(), host.data(), 8), Error);
  CHECK_THROWS_AS(device.zero(host.data(), 8), Error);
  CHECK_THROWS_AS(device.upload(memory.as<char>() + 32, host.data(), 33), Error);  // beyond its end
}

}  // namespace
