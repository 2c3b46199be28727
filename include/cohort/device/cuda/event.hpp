// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/event.hpp: a point in a stream's work, for which other streams and the host wait.
#pragma once
#include <cuda_runtime_api.h>

#include <cohort/device/cuda/error.hpp>
#include <utility>

namespace cohort::cuda {

/// Owns an event of the current GPU. Move-only. Before it is recorded it counts as passed.
///
/// Cost     a record or delay is one short call on the host; without timing, nothing on the GPU.
/// Errors   Error as check().
class Event {
 public:
  enum class Timing : bool { no, yes };

  explicit Event(Timing timing) {
    check(cudaEventCreateWithFlags(
        &event_, timing == Timing::yes ? cudaEventDefault : cudaEventDisableTiming));
  }
  Event() : Event(Timing::no) {}
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~Event() {
    if (event_ != nullptr) cudaEventDestroy(event_);
  }
  cudaEvent_t native() const { return event_; }

  /// The point is where the stream's work ends now; an earlier one is forgotten.
  void record(cudaStream_t stream) { check(cudaEventRecord(event_, stream)); }
  /// What the stream is given from now on begins when the point, as recorded now, is passed.
  void delay(cudaStream_t stream) const { check(cudaStreamWaitEvent(stream, event_, 0)); }
  /// The host waits until the point is passed.
  void synchronize() const { check(cudaEventSynchronize(event_)); }
  /// Is the point passed? Then what was queued before it is done, and seen by the host.
  bool done() const {
    const cudaError_t error = cudaEventQuery(event_);
    if (error == cudaErrorNotReady) {
      cudaGetLastError();  // no error, but CUDA remembers it as one
      return false;
    }
    check(error);
    return true;
  }
  /// Milliseconds from `start` to this; both have timing and are passed.
  float milliseconds_since(const Event& start) const {
    float time = 0;
    check(cudaEventElapsedTime(&time, start.event_, event_));
    return time;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace cohort::cuda
