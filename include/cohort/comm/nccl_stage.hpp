// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_stage.hpp: where host data waits on its way through NCCL: pinned and device memory.
#pragma once
#include <cohort/device/cuda/memory.hpp>
#include <cohort/device/cuda/stream.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace cohort::detail {

/// A stream of its own, and as many bytes of pinned host memory as of device memory, on the GPU that
/// is current. Made before step 0; the sizes never change.
class NcclStage {
 public:
  /// The shortest message: a head and a small array.
  static constexpr std::size_t message = 512;
  static constexpr std::size_t bytes(int ranks) {
    return std::max<std::size_t>(std::size_t{1} << 20, message * static_cast<std::size_t>(ranks));
  }

  explicit NcclStage(int ranks) : host_(bytes(ranks)), device_(bytes(ranks)) {}

  cudaStream_t stream() const { return stream_.native(); }
  std::byte* host() const { return host_.as<std::byte>(); }
  std::byte* device() const { return device_.as<std::byte>(); }
  /// Four bytes on the device that are always 0, for each of the first 1024 communicators its own: what
  /// a barrier adds up. (Freeing memory waits for the GPU, so communicators own none.)
  std::int32_t* zero() { return zeros_.as<std::int32_t>() + next_zero_++ % words; }

 private:
  cuda::Stream stream_;
  cuda::PinnedMemory host_;
  cuda::Memory device_;
  static constexpr std::size_t words = 1024;
  cuda::Memory zeros_{words * sizeof(std::int32_t)};
  std::size_t next_zero_ = 0;
};

}  // namespace cohort::detail
