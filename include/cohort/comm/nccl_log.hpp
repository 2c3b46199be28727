// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_log.hpp: what was queued last on a communicator or of a graph, and what of it is not done.
#pragma once
#include <cohort/comm/collective.hpp>
#include <cohort/device/cuda/event.hpp>
#include <cohort/device/cuda/stream.hpp>

#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>
#include <optional>

namespace cohort::detail {

/// Remembers the last collectives of one communicator, or replays of one graph, with an event behind each, so
/// that a rank that waits too long can say in which one it is stuck.
///
/// Cost     one event record each; none while the stream is captured into a graph.
class NcclLog {
 public:
  static constexpr std::size_t capacity = 32;

  struct Entry {
    Collective call;           // of a replay: as it is made
    std::uint64_t number = 0;  // on its communicator, or of its graph
    std::uint64_t turn = 0;    // among all that the rank has queued
  };

  /// This was queued on the stream just now.
  void note(const Entry& entry, cudaStream_t stream) {
    if (cuda::captures(stream)) return;
    done_[num_noted_ % capacity].record(stream);
    entries_[num_noted_++ % capacity] = entry;
  }

  /// The first of these that is not complete.
  std::optional<Entry> oldest_pending() const {
    const Relaxed no_capture_is_spoiled;
    std::optional<Entry> oldest;
    for (std::size_t i = num_noted_ - kept(); i < num_noted_ && !oldest; ++i)
      if (cudaEventQuery(done_[i % capacity].native()) == cudaErrorNotReady)
        oldest = entries_[i % capacity];
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
  std::size_t kept() const { return num_noted_ < capacity ? num_noted_ : capacity; }

  std::size_t num_noted_ = 0;
  std::array<Entry, capacity> entries_;
  std::array<cuda::Event, capacity> done_;
};

}  // namespace cohort::detail
