// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/events.cpp: events are points that streams pass.
#include <algorithm>
#include <chrono>
#include <support/cuda_double/state.hpp>

using namespace cohort::cuda_double;  // the file is nothing but its functions

namespace {
std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}
/// The marker to look at, or an error. nullptr without error: never recorded.
cudaError_t last_of(cudaEvent_t event, Marker*& marker) {
  const std::lock_guard lock(state().mutex);
  if (!is_alive(event)) return cudaErrorInvalidResourceHandle;
  if (event->captured) {
    event->captured->valid = false;
    return cudaErrorCapturedEvent;
  }
  marker = event->last;
  return cudaSuccess;
}
}  // namespace

namespace cohort::cuda_double {
bool is_alive(cudaEvent_t event) { return state().handles.contains(event) && event->alive; }
std::size_t live_events() {
  const std::lock_guard lock(state().mutex);
  return static_cast<std::size_t>(std::count_if(state().events.begin(), state().events.end(),
                                                [](const CUevent_st& e) { return e.alive; }));
}
}  // namespace cohort::cuda_double

extern "C" {

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  COHORT_DOUBLE_ENTER();
  if (event == nullptr) return returned(cudaErrorInvalidValue);
  const std::lock_guard lock(state().mutex);
  CUevent_st& made = state().events.emplace_back();
  made.device = current_device();
  made.timing = (flags & cudaEventDisableTiming) == 0;
  *event = &made;
  state().handles.insert(&made);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const int error = entered(__func__);
  const std::lock_guard lock(state().mutex);
  if (!is_alive(event)) return returned(cudaErrorInvalidResourceHandle);
  event->alive = false;
  event->captured.reset();
  return returned(static_cast<cudaError_t>(error));
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  COHORT_DOUBLE_ENTER();
  stream = named(stream);
  Marker* marker = nullptr;
  {
    const std::lock_guard lock(state().mutex);
    if (!is_alive(event)) return returned(cudaErrorInvalidResourceHandle);
    if (stream != nullptr && (!is_alive(stream) || stream->device != event->device)) {
      return returned(cudaErrorInvalidResourceHandle);
    }
    if (stream != nullptr && stream->capture) {
      if (!stream->capture->valid) return returned(cudaErrorStreamCaptureInvalidated);
      event->captured = stream->capture;
      event->front = stream->front;
      return cudaSuccess;
    }
    event->captured.reset();
    marker = event->last = &event->markers.emplace_back();
  }
  return enqueue(stream, [marker] {
    marker->nanoseconds = now();
    marker->passed.set();
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  COHORT_DOUBLE_ENTER();
  stream = named(stream);
  Marker* marker = nullptr;
  {
    const std::lock_guard lock(state().mutex);
    if (!is_alive(event) || (stream != nullptr && !is_alive(stream))) {
      return returned(cudaErrorInvalidResourceHandle);
    }
    if (event->captured) return returned(join_capture(stream, event));
    if (event->last == nullptr) return cudaSuccess;
    if (stream != nullptr && stream->capture) {  // waits for something outside of the graph
      stream->capture->valid = false;
      return returned(cudaErrorStreamCaptureIsolation);
    }
    marker = event->last;
  }
  return enqueue(stream, [marker] { marker->passed.wait(); });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  COHORT_DOUBLE_ENTER();
  Marker* marker = nullptr;
  if (const cudaError_t error = last_of(event, marker)) return returned(error);
  if (const cudaError_t error = refused_in_capture()) return returned(error);
  if (marker != nullptr && !marker->passed.is_set()) return returned(cudaErrorNotReady);
  return returned(failure());
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  COHORT_DOUBLE_ENTER();
  Marker* marker = nullptr;
  if (const cudaError_t error = last_of(event, marker)) return returned(error);
  if (const cudaError_t error = refused_in_capture()) return returned(error);
  if (marker != nullptr) marker->passed.wait();
  return returned(failure());
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  COHORT_DOUBLE_ENTER();
  Marker *from = nullptr, *to = nullptr;
  if (const cudaError_t error = last_of(start, from)) return returned(error);
  if (const cudaError_t error = last_of(end, to)) return returned(error);
  if (from == nullptr || to == nullptr || !start->timing || !end->timing) {
    return returned(cudaErrorInvalidResourceHandle);
  }
  if (!from->passed.is_set() || !to->passed.is_set()) return returned(cudaErrorNotReady);
  *milliseconds =
      static_cast<float>(static_cast<double>(to->nanoseconds - from->nanoseconds) * 1e-6);
  return cudaSuccess;
}

}  // extern "C"
