// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_log.hpp: the last collectives queued on a communicator, and which are not done.
#pragma once
#include <cohort/comm/collective.hpp>
#include <cohort/device/cuda/event.hpp>
#include <cohort/device/cuda/stream.hpp>

#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>
#include <optional>

namespace cohort::detail {

/// Remembers the last collectives of one communicator with an event behind each, so that a rank
/// that waits too long can say in which one it is stuck.
///
/// Cost     one event record per collective; none while the stream is captured into a graph.
class NcclLog {
 public:
  static constexpr std::size_t capacity = 32;

  struct Entry {
    Collective call;
    std::uint64_t number = 0;  // 0: nothing here
  };

  /// The collective of this number was queued on the stream just now.
  void note(const Collective& call, std::uint64_t number, cudaStream_t stream) {
    if (cuda::captures(stream)) return;
    done_[number % capacity].record(stream);
    entries_[number % capacity] = {call, number};
  }

  /// The first of these collectives that is not complete.
  std::optional<Entry> oldest_pending() const {
    const Relaxed no_capture_is_spoiled;
    std::optional<Entry> oldest;
    for (std::size_t i = 0; i < capacity; ++i) {
      const Entry& entry = entries_[i];
      if (entry.number == 0 || (oldest && oldest->number < entry.number)) continue;
      if (cudaEventQuery(done_[i].native()) == cudaErrorNotReady) oldest = entry;
    }
    cudaGetLastError();  // not being ready is no error, but CUDA remembers it as one
    return oldest;
  }

 private:
  /// Else a question about an event spoils the capture of the thread that asks; these were recorded outside
  /// of it (cuda_runtime_api.h, cudaThreadExchangeStreamCaptureMode).
  class Relaxed {
   public:
    Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode_); }
    Relaxed(const Relaxed&) = delete;
    Relaxed& operator=(const Relaxed&) = delete;
    ~Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode_); }

   private:
    cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
  };

  std::array<Entry, capacity> entries_;
  std::array<cuda::Event, capacity> done_;
};

}  // namespace cohort::detail
