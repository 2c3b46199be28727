// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/streams.cpp: streams are worker threads.
#include <algorithm>
#include <exception>
#include <support/cuda_double/state.hpp>
#include <support/cuda_double/team.hpp>

using cohort::cuda_double::returned;
using cohort::cuda_double::state;

namespace {
thread_local bool is_worker = false;
std::atomic<std::int64_t> common_delay_us{0};
std::atomic<std::uint32_t> most_queued{0};

void run_guarded(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    cohort::cuda_double::report_failure(std::string("work on a stream threw: ") + error.what());
  }
}
}  // namespace

CUstream_st::CUstream_st(int on_device, unsigned with_flags, int with_priority)
    : device(on_device), priority(with_priority), flags(with_flags), worker_([this] { work(); }) {}

CUstream_st::~CUstream_st() {
  if (worker_.joinable()) end();
}

void CUstream_st::work() {
  is_worker = true;
  while (const auto task = queue.pop()) {
    const std::int64_t wait = std::max(delay_us.load(std::memory_order_relaxed),
                                       common_delay_us.load(std::memory_order_relaxed));
    if (wait > 0) std::this_thread::sleep_for(std::chrono::microseconds(wait));
    run_guarded(task);
    queue.one_is_done();
  }
}

void CUstream_st::end() {
  queue.push({});
  worker_.join();
}

namespace cohort::cuda_double {

bool on_stream_worker() { return is_worker; }
cudaStream_t named(cudaStream_t stream) { return stream == cudaStreamLegacy ? nullptr : stream; }
bool is_alive(cudaStream_t stream) { return state().handles.contains(stream) && stream->alive; }

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  stream = named(stream);
  if (stream == nullptr) {
    if (const cudaError_t error = refused_on_default_stream()) return returned(error);
    drain(current_device(), true);
    run_guarded(work);
    return returned(failure());
  }
  std::unique_lock lock(state().mutex);
  if (!is_alive(stream)) return returned(cudaErrorInvalidResourceHandle);
  if (!stream->capture) {
    stream->push(std::move(work));
    const std::uint32_t queued = stream->queue.pushed(), most = most_queued.load();
    lock.unlock();
    if (most > 0) stream->queue.wait_for(queued - most);
    return cudaSuccess;
  }
  if (!stream->capture->valid) return returned(cudaErrorStreamCaptureInvalidated);
  auto& nodes = stream->capture->nodes;
  nodes.push_back({std::move(work), stream->front});
  stream->front = {nodes.size() - 1};
  return cudaSuccess;
}

void drain(int device, bool blocking_only) {
  std::vector<std::pair<const TaskQueue*, std::uint32_t>> all;
  {
    const std::lock_guard lock(state().mutex);
    for (CUstream_st& s : state().streams) {
      if (!s.alive || s.capture || s.device != device) continue;
      if (blocking_only && (s.flags & cudaStreamNonBlocking) != 0) continue;
      all.emplace_back(&s.queue, s.queue.pushed());
    }
  }
  for (const auto& [queue, number] : all) queue->wait_for(number);
}

bool busy() {
  const std::lock_guard lock(state().mutex);
  return std::any_of(state().streams.begin(), state().streams.end(), [](const CUstream_st& s) {
    return s.alive && s.device == current_device() && !s.queue.done(s.queue.pushed());
  });
}

void delay(cudaStream_t stream, std::chrono::microseconds time) {
  (stream == nullptr ? common_delay_us : stream->delay_us) = time.count();
}
void limit_queues(std::uint32_t most) { most_queued = most; }
std::size_t live_streams() {
  const std::lock_guard lock(state().mutex);
  return static_cast<std::size_t>(std::count_if(state().streams.begin(), state().streams.end(),
                                                [](const CUstream_st& s) { return s.alive; }));
}

}  // namespace cohort::cuda_double

extern "C" {

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  COHORT_DOUBLE_ENTER();
  if (stream == nullptr || flags > cudaStreamNonBlocking) return returned(cudaErrorInvalidValue);
  const std::lock_guard lock(state().mutex);
  *stream = &state().streams.emplace_back(cohort::cuda_double::current_device(), flags,
                                          std::clamp(priority, -5, 0));
  state().handles.insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const int error = cohort::cuda_double::entered(__func__);
  {
    const std::lock_guard lock(state().mutex);
    if (!cohort::cuda_double::is_alive(stream)) return returned(cudaErrorInvalidResourceHandle);
    stream->alive = false;
    if (stream->capture) {
      stream->capture->valid = false;
      cohort::cuda_double::leave(stream->capture);
    }
  }
  stream->end();
  return returned(static_cast<cudaError_t>(error));
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  COHORT_DOUBLE_ENTER();
  const std::lock_guard lock(state().mutex);
  if (!cohort::cuda_double::is_alive(stream)) return returned(cudaErrorInvalidResourceHandle);
  *priority = stream->priority;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  COHORT_DOUBLE_ENTER();
  stream = cohort::cuda_double::named(stream);
  if (const auto error = cohort::cuda_double::refused_in_capture(stream)) return returned(error);
  if (stream == nullptr) {
    cohort::cuda_double::drain(cohort::cuda_double::current_device(), true);
    return returned(cohort::cuda_double::failure());
  }
  {
    const std::lock_guard lock(state().mutex);
    if (!cohort::cuda_double::is_alive(stream)) return returned(cudaErrorInvalidResourceHandle);
  }
  stream->queue.wait_for(stream->queue.pushed());
  return returned(cohort::cuda_double::failure());
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  COHORT_DOUBLE_ENTER();
  stream = cohort::cuda_double::named(stream);
  if (const auto error = cohort::cuda_double::refused_in_capture(stream)) return returned(error);
  if (stream == nullptr) return cudaStreamSynchronize(stream);
  const std::lock_guard lock(state().mutex);
  if (!cohort::cuda_double::is_alive(stream)) return returned(cudaErrorInvalidResourceHandle);
  return returned(stream->queue.done(stream->queue.pushed()) ? cohort::cuda_double::failure()
                                                             : cudaErrorNotReady);
}

cudaError_t cudaDeviceSynchronize() {
  COHORT_DOUBLE_ENTER();
  if (const auto error = cohort::cuda_double::refused_on_device()) return returned(error);
  cohort::cuda_double::drain(cohort::cuda_double::current_device(), false);
  return returned(cohort::cuda_double::failure());
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  COHORT_DOUBLE_ENTER();
  if (function == nullptr) return returned(cudaErrorInvalidValue);
  cohort::cuda_double::log({cohort::cuda_double::Record::host, stream, "", 0, 0, 0, false, false});
  return cohort::cuda_double::enqueue(stream, [=] { function(data); });
}

}  // extern "C"
