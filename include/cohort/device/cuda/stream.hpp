// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/stream.hpp: an order of work on a GPU.
#pragma once
#include <cuda_runtime_api.h>

#include <cohort/device/cuda/error.hpp>
#include <cohort/device/cuda/event.hpp>
#include <cstdint>
#include <utility>

namespace cohort::cuda {

/// Is what the stream is given now added to a graph?
inline bool captures(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status));
  return status != cudaStreamCaptureStatusNone;
}

/// Blocks of a kernel on a stream of high priority go first when a multiprocessor becomes free.
enum class Priority : std::uint8_t { normal, high };

/// Owns a stream of the current GPU. Move-only. It never waits for CUDA's default stream, nor that for it.
///
/// Errors   Error as check(). What its work did wrong is thrown by any later call.
class Stream {
 public:
  explicit Stream(Priority priority = Priority::normal) {
    int lowest = 0, highest = 0;
    check(cudaDeviceGetStreamPriorityRange(&lowest, &highest));
    check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking,
                                       priority == Priority::high ? highest : lowest));
  }
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Stream() {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  cudaStream_t native() const { return stream_; }

  /// The host waits until everything that was queued is done. Not behind a collective: a peer that is
  /// gone would not come (NcclStream::synchronize asks).
  void synchronize() const { check(cudaStreamSynchronize(stream_)); }
  /// What is queued from now on begins when the event, as recorded now, is passed.
  void waits_for(const Event& event) const { event.delay(stream_); }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace cohort::cuda
