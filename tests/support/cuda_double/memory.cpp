// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/memory.cpp: a GPU's memory is host memory that is counted and looked up.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <support/cuda_double/state.hpp>

using namespace cohort::cuda_double;  // the file is nothing but its functions

namespace {
constexpr std::size_t touched_below = std::size_t{64} << 20;  // larger ones cost nothing until used
constexpr std::size_t total_bytes = std::size_t{80} << 30;
constexpr int pinned = -2;

struct Allocation {
  std::size_t bytes;
  int device, serial;
};
struct Heap {
  std::mutex mutex;
  std::map<const char*, Allocation> live;
  std::map<int, cohort::cuda_double::Memory> counted;  // by device
  std::size_t limit = std::numeric_limits<std::size_t>::max();
  int serial = 0;
};
Heap& heap() {
  static Heap heap;
  return heap;
}

void* take(std::size_t bytes) {
  void* p = nullptr;
  if (bytes >= touched_below) {
    p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
             -1, 0);
    return p == MAP_FAILED ? nullptr : p;
  }
  if (posix_memalign(&p, 256, bytes) != 0) return nullptr;
  return std::memset(p, 0xFF, bytes);
}
void give_back(void* p, std::size_t bytes) {
  if (bytes >= touched_below)
    munmap(p, bytes);
  else
    std::free(p);
}

cudaError_t allocate(void** p, std::size_t bytes, int device) {
  if (p == nullptr) return cudaErrorInvalidValue;
  *p = nullptr;
  if (const cudaError_t error = refused_in_capture()) return error;
  if (bytes == 0) return cudaSuccess;
  Heap& all = heap();
  const std::lock_guard lock(all.mutex);
  auto& counted = all.counted[device];
  const std::size_t limit = std::min(all.limit, total_bytes);
  if (device != pinned && bytes > limit - std::min(limit, counted.live_bytes)) {
    return cudaErrorMemoryAllocation;
  }
  *p = take(bytes);
  if (*p == nullptr) return cudaErrorMemoryAllocation;
  all.live[static_cast<const char*>(*p)] = {bytes, device, all.serial++};
  counted.live_bytes += bytes;
  counted.peak_bytes = std::max(counted.peak_bytes, counted.live_bytes);
  ++counted.allocations;
  return cudaSuccess;
}

cudaError_t release(void* p, bool of_device) {
  if (p == nullptr) return cudaSuccess;
  if (const cudaError_t error = refused_in_capture()) return error;
  Heap& all = heap();
  int device = 0;
  {
    const std::lock_guard lock(all.mutex);
    const auto found = all.live.find(static_cast<const char*>(p));
    if (found == all.live.end() || (found->second.device == pinned) == of_device) {
      return cudaErrorInvalidValue;
    }
    device = found->second.device;
  }
  drain(of_device ? device : current_device(), false);  // as CUDA does: work may still use it
  const std::lock_guard lock(all.mutex);
  const auto found = all.live.find(static_cast<const char*>(p));
  all.counted[device].live_bytes -= found->second.bytes;
  give_back(p, found->second.bytes);
  all.live.erase(found);
  return cudaSuccess;
}

/// Which memory [p, p + bytes) lies in: a device, `pinned`, or -1 for memory that CUDA does not know.
/// False where it begins in an allocation and ends elsewhere.
bool find(const void* p, std::size_t bytes, int& where) {
  Heap& all = heap();
  const std::lock_guard lock(all.mutex);
  where = -1;
  const auto* begin = static_cast<const char*>(p);
  auto after = all.live.upper_bound(begin);
  if (after != all.live.end() && begin + bytes > after->first) return false;
  if (after == all.live.begin()) return true;
  const auto& [start, allocation] = *std::prev(after);
  if (begin >= start + allocation.bytes) return true;
  where = allocation.device;
  return begin + bytes <= start + allocation.bytes;
}

const char* const directions[] = {"host to host", "host to device", "device to host",
                                  "device to device", "default"};

cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                 cudaStream_t stream) {
  if (kind < 0 || kind > cudaMemcpyDefault) return returned(cudaErrorInvalidMemcpyDirection);
  if (bytes == 0) return cudaSuccess;
  int at_to = 0, at_from = 0;
  if (!find(to, bytes, at_to) || !find(from, bytes, at_from))
    return returned(cudaErrorInvalidValue);
  const int actual = (at_from >= 0 ? 2 : 0) + (at_to >= 0 ? 1 : 0);
  if (kind != cudaMemcpyDefault && actual != kind) return returned(cudaErrorInvalidValue);
  log({Record::copy, stream, directions[actual], 0, 0, bytes, at_to == -1 || at_from == -1, false});
  if (!executes()) return cudaSuccess;
  return enqueue(stream, [=] { std::memmove(to, from, bytes); });
}
cudaError_t fill(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!on_device(to, bytes)) return returned(cudaErrorInvalidValue);
  log({Record::fill, stream, "", 0, 0, bytes, false, false});
  if (!executes()) return cudaSuccess;
  return enqueue(stream, [=] { std::memset(to, value, bytes); });
}
}  // namespace

namespace cohort::cuda_double {

bool on_device(const void* p, std::size_t bytes) {
  int where = 0;
  return find(p, bytes, where) && where >= 0;
}
std::pair<const void*, std::size_t> allocation(const void* p) {
  Heap& all = heap();
  const std::lock_guard lock(all.mutex);
  const auto after = all.live.upper_bound(static_cast<const char*>(p));
  if (after == all.live.begin()) return {nullptr, 0};
  const auto& [start, found] = *std::prev(after);
  if (static_cast<const char*>(p) >= start + found.bytes) return {nullptr, 0};
  return {start, found.bytes};
}
static Memory count(auto&& belongs) {
  Heap& all = heap();
  const std::lock_guard lock(all.mutex);
  Memory sum;
  for (const auto& [device, counted] : all.counted) {
    if (!belongs(device)) continue;
    sum.live_bytes += counted.live_bytes;
    sum.peak_bytes += counted.peak_bytes;
    sum.allocations += counted.allocations;
  }
  std::map<int, std::size_t> by_age;
  for (const auto& [p, allocation] : all.live) {
    if (belongs(allocation.device)) by_age[allocation.serial] = allocation.bytes;
  }
  for (const auto& [serial, bytes] : by_age) sum.sizes.push_back(bytes);
  return sum;
}
Memory device_memory(int device) {
  return count([=](int d) { return d != pinned && (device == -1 || d == device); });
}
Memory pinned_memory() {
  return count([](int d) { return d == pinned; });
}
void reset_peaks() {
  const std::lock_guard lock(heap().mutex);
  for (auto& [device, counted] : heap().counted) {
    counted.peak_bytes = counted.live_bytes;
    counted.allocations = 0;
  }
}
void limit_memory(std::size_t bytes) {
  const std::lock_guard lock(heap().mutex);
  heap().limit = bytes;
}

}  // namespace cohort::cuda_double

extern "C" {

cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  COHORT_DOUBLE_ENTER();
  return returned(allocate(p, bytes, current_device()));
}
cudaError_t cudaMallocHost(void** p, std::size_t bytes) {
  COHORT_DOUBLE_ENTER();
  return returned(allocate(p, bytes, pinned));
}
cudaError_t cudaHostAlloc(void** p, std::size_t bytes, unsigned) {
  COHORT_DOUBLE_ENTER();
  return returned(allocate(p, bytes, pinned));
}
cudaError_t cudaFree(void* p) {
  const int error = entered(__func__);
  const cudaError_t freed = release(p, true);
  return returned(error != 0 ? static_cast<cudaError_t>(error) : freed);
}
cudaError_t cudaFreeHost(void* p) {
  const int error = entered(__func__);
  const cudaError_t freed = release(p, false);
  return returned(error != 0 ? static_cast<cudaError_t>(error) : freed);
}
cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total) {
  COHORT_DOUBLE_ENTER();
  const std::size_t live = device_memory(current_device()).live_bytes;
  const std::lock_guard lock(heap().mutex);
  *total = std::min(heap().limit, total_bytes);
  *free_bytes = *total - std::min(*total, live);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  COHORT_DOUBLE_ENTER();
  return copy(to, from, bytes, kind, stream);
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  COHORT_DOUBLE_ENTER();
  if (const cudaError_t error = refused_in_capture()) return returned(error);
  return copy(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  COHORT_DOUBLE_ENTER();
  return fill(to, value, bytes, stream);
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  COHORT_DOUBLE_ENTER();
  if (const cudaError_t error = refused_in_capture()) return returned(error);
  return fill(to, value, bytes, nullptr);
}

}  // extern "C"
