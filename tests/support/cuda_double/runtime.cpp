// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/runtime.cpp: devices, errors, launches, and the switches of tests.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <support/cuda_double/state.hpp>
#include <support/cuda_double/team.hpp>

using namespace cohort::cuda_double;  // the file is nothing but its functions

namespace {
thread_local int device_of_thread = 0;
thread_local cudaError_t last_error = cudaSuccess;
std::atomic<bool> execute_work{true};
std::atomic<bool> watch_threads{true};
std::atomic<Order> work_order{Order::forward};

struct Machine {
  std::atomic<int> devices{1}, multiprocessors{132}, major{9}, minor{0};
  std::atomic<int> driver{CUDART_VERSION}, runtime{CUDART_VERSION};
  std::atomic<bool> peers{true};
} machine;

struct SharedLimits {
  std::mutex mutex;
  std::map<const void*, std::size_t> bytes;
} shared_limits;

/// A mistake on a stream that no test asked for must not go unseen.
struct Failure {
  ~Failure() {
    if (text.empty()) return;
    std::fprintf(stderr, "A mistake on a CUDA stream was not noticed: %s\n", text.c_str());
    std::fflush(stderr);
    std::_Exit(86);
  }
  std::mutex mutex;
  std::atomic<bool> set{false};
  std::string text;
};
Failure& failed() {
  static Failure failure;
  return failure;
}
}  // namespace

namespace cohort::cuda_double {

State& state() {
  failed();  // is destroyed after the streams
  static State state;
  return state;
}

void reset() {
  take_failure();
  set_execute(true);
  set_order(Order::forward);
  watch_kernels(true);
  support_epilogues(true);
  for (int i = 0; i < 3; ++i) slow_algorithm(i, {});
  set_devices(1);
  set_properties(132, 9, 0);
  set_versions(CUDART_VERSION, CUDART_VERSION);
  set_peer_access(true);
  limit_memory(static_cast<std::size_t>(-1));
  reset_peaks();
  delay(nullptr, std::chrono::microseconds(0));
  limit_queues(0);
  last_error = cudaSuccess;
  const std::lock_guard lock(state().mutex);
  while (!state().captures.empty()) leave(*state().captures.begin());
  state().calls.clear();
  state().faults.clear();
  state().log.clear();
  state().records = false;
}

void set_execute(bool on) { execute_work = on; }
bool executes() { return execute_work.load(std::memory_order_relaxed); }
void watch_kernels(bool on) { watch_threads = on; }
void set_order(Order by) { work_order = by; }
Order order() { return work_order.load(std::memory_order_relaxed); }
void set_devices(int count) { machine.devices = count; }
void set_properties(int multiprocessors, int major, int minor) {
  machine.multiprocessors = multiprocessors;
  machine.major = major;
  machine.minor = minor;
}

void set_versions(int driver, int runtime) {
  machine.driver = driver;
  machine.runtime = runtime;
}
void set_peer_access(bool on) { machine.peers = on; }

void report_failure(const std::string& what) {
  const std::lock_guard lock(failed().mutex);
  if (!failed().set.exchange(true)) failed().text = what;
}
std::string take_failure() {
  const std::lock_guard lock(failed().mutex);
  failed().set = false;
  return std::exchange(failed().text, {});
}
cudaError_t failure() {
  return failed().set.load(std::memory_order_relaxed) ? cudaErrorLaunchFailure : cudaSuccess;
}

void fail(const std::string& function, int nth, int error) {
  const std::lock_guard lock(state().mutex);
  const auto found = state().calls.find(function);
  state().faults.insert(
      {function, {(found == state().calls.end() ? 0 : found->second) + nth, error}});
}
int calls(const std::string& function) {
  const std::lock_guard lock(state().mutex);
  const auto found = state().calls.find(function);
  return found == state().calls.end() ? 0 : found->second;
}
int entered(const char* function) {
  if (on_stream_worker()) {
    report_failure(std::string(function) + " is called by work on a stream");
    return cudaErrorNotPermitted;
  }
  const std::lock_guard lock(state().mutex);
  const auto found = state().calls.try_emplace(function, 0).first;
  const int n = ++found->second;
  const auto [begin, end] = state().faults.equal_range(function);
  for (auto it = begin; it != end; ++it) {
    if (it->second.nth != n) continue;
    const int error = it->second.error;
    state().faults.erase(it);
    return error;
  }
  return failure();
}

void record(bool on) {
  const std::lock_guard lock(state().mutex);
  state().records = on;
  state().log.clear();
}
std::vector<Record> take_log() {
  const std::lock_guard lock(state().mutex);
  return std::exchange(state().log, {});
}
void log(Record what) {
  const std::lock_guard lock(state().mutex);
  if (!state().records) return;
  what.captured = what.stream != nullptr && is_alive(what.stream) && what.stream->capture;
  state().log.push_back(std::move(what));
}

int current_device() { return device_of_thread; }
cudaError_t returned(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t launch(Record what, std::function<void()> work) {
  if (const int error = entered("launch")) return returned(static_cast<cudaError_t>(error));
  const cudaStream_t stream = what.stream;
  {
    const std::lock_guard lock(state().mutex);
    if (named(stream) != nullptr && (!is_alive(stream) || stream->device != device_of_thread)) {
      return returned(cudaErrorInvalidResourceHandle);
    }
  }
  log(std::move(what));
  return executes() ? enqueue(stream, std::move(work)) : cudaSuccess;
}
cudaError_t launch(cudaStream_t stream, int blocks, const KernelType& type, const void* kernel) {
  const std::align_val_t alignment{type.alignment};
  std::shared_ptr<void> copy(std::memcpy(::operator new(type.bytes, alignment), kernel, type.bytes),
                             [=](void* p) { ::operator delete(p, alignment); });
  return launch({Record::kernel, stream, demangled(type.mangled_name), blocks, type.threads,
                 type.shared_bytes, false, false},
                [=, &type] {
                  thread_local Team watched(true), plain(false);
                  const bool watch = watch_threads.load(std::memory_order_relaxed);
                  (watch ? watched : plain).run(type, copy.get(), blocks);
                });
}
std::size_t shared_limit(const void* function) {
  const std::lock_guard lock(shared_limits.mutex);
  const auto found = shared_limits.bytes.find(function);
  return found == shared_limits.bytes.end() ? std::size_t{48} << 10 : found->second;
}

}  // namespace cohort::cuda_double

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  COHORT_DOUBLE_ENTER();
  *count = machine.devices;
  return returned(*count == 0 ? cudaErrorNoDevice : cudaSuccess);
}
cudaError_t cudaSetDevice(int device) {
  COHORT_DOUBLE_ENTER();
  if (device < 0 || device >= machine.devices) return returned(cudaErrorInvalidDevice);
  device_of_thread = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  COHORT_DOUBLE_ENTER();
  *device = device_of_thread;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  COHORT_DOUBLE_ENTER();
  if (device < 0 || device >= machine.devices) return returned(cudaErrorInvalidDevice);
  *properties = cudaDeviceProp{};
  std::snprintf(properties->name, sizeof properties->name, "double of a GPU");
  properties->major = machine.major;
  properties->minor = machine.minor;
  properties->multiProcessorCount = machine.multiprocessors;
  properties->totalGlobalMem = std::size_t{80} << 30;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->sharedMemPerBlock = std::size_t{48} << 10;
  properties->sharedMemPerBlockOptin = std::size_t{227} << 10;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  COHORT_DOUBLE_ENTER();
  if (device < 0 || device >= machine.devices) return returned(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      return *value = machine.multiprocessors, cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      return *value = machine.major, cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      return *value = machine.minor, cudaSuccess;
    case cudaDevAttrComputeMode:
      return *value = cudaComputeModeDefault, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return *value = 227 << 10, cudaSuccess;
    case cudaDevAttrMaxThreadsPerBlock:
      return *value = 1024, cudaSuccess;
    case cudaDevAttrWarpSize:
      return *value = 32, cudaSuccess;
    default:
      return returned(cudaErrorInvalidValue);
  }
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  COHORT_DOUBLE_ENTER();
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) { return *version = machine.driver, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = machine.runtime, cudaSuccess; }
cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  COHORT_DOUBLE_ENTER();
  const int count = machine.devices;
  if (device < 0 || device >= count || peer < 0 || peer >= count)
    return returned(cudaErrorInvalidDevice);
  *can = machine.peers && device != peer ? 1 : 0;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  COHORT_DOUBLE_ENTER();
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || value > 227 << 10) return returned(cudaErrorInvalidValue);
  const std::lock_guard lock(shared_limits.mutex);
  shared_limits.bytes[function] = static_cast<std::size_t>(value);
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const cudaError_t failing = failure();
  const cudaError_t error = std::exchange(last_error, cudaSuccess);
  return failing != cudaSuccess ? failing : error;
}
cudaError_t cudaPeekAtLastError() { return failure() != cudaSuccess ? failure() : last_error; }

}  // extern "C"
