// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gpu/counted_memory.cpp: cudaMalloc and cudaFree with a count; linked with --wrap=cudaMalloc,cudaFree.
#include "counted_memory.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <map>
#include <mutex>

namespace {

struct Count {
  std::mutex mutex;
  std::map<void*, std::size_t> taken;
  std::size_t now = 0, most = 0;
};
Count& count() {
  static Count* const one = new Count;  // outlives every destructor that frees memory
  return *one;
}

}  // namespace

extern "C" {
cudaError_t __real_cudaMalloc(void** at, std::size_t bytes);
cudaError_t __real_cudaFree(void* at);

cudaError_t __wrap_cudaMalloc(void** at, std::size_t bytes) {
  const cudaError_t error = __real_cudaMalloc(at, bytes);
  if (error != cudaSuccess) return error;
  Count& c = count();
  const std::scoped_lock lock(c.mutex);
  c.taken[*at] = bytes;
  c.now += bytes;
  c.most = std::max(c.most, c.now);
  return error;
}

cudaError_t __wrap_cudaFree(void* at) {
  {
    Count& c = count();
    const std::scoped_lock lock(c.mutex);
    if (const auto it = c.taken.find(at); it != c.taken.end()) {
      c.now -= it->second;
      c.taken.erase(it);
    }
  }
  return __real_cudaFree(at);
}
}

std::size_t bench::counted_bytes() {
  const std::scoped_lock lock(count().mutex);
  return count().now;
}
std::size_t bench::most_counted_bytes() {
  const std::scoped_lock lock(count().mutex);
  return count().most;
}
