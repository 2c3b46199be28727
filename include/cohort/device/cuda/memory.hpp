// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/memory.hpp: memory of a GPU, and host memory from which it copies without the CPU.
#pragma once
#include <cuda_runtime_api.h>

#include <cohort/core/error.hpp>
#include <cohort/core/tensor.hpp>
#include <cohort/device/cuda/error.hpp>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

namespace cohort::cuda {

namespace detail {
[[noreturn]] inline void refused(const char* who, std::size_t bytes) {
  cudaGetLastError();  // it is reported here: the next launch is not to blame
  throw Error(-1, "memory",
              std::string(who) + " refused " + std::to_string(bytes) +
                  " bytes. Use a smaller batch, more ranks with sharding, or a "
                  "smaller model; print(plan) lists what is needed.");
}
}  // namespace detail

/// Owns one zeroed piece of the current GPU's memory. Takes exactly round_up(bytes, alignment) bytes.
///
/// Cost     taking and giving back wait for the GPU: before step 0 and after the last only.
/// Errors   Error with the bytes when the GPU has no room.
class Memory {
 public:
  Memory() = default;
  explicit Memory(std::size_t bytes) : bytes_(round_up(bytes, alignment)) {
    if (bytes_ == 0) return;
    void* taken = nullptr;
    const cudaError_t error = cudaMalloc(&taken, bytes_);
    if (error == cudaErrorMemoryAllocation) detail::refused("the GPU", bytes_);
    check(error);
    memory_.reset(taken);
    check(cudaMemset(taken, 0, bytes_));
    check(cudaStreamSynchronize(nullptr));  // cohort's streams do not wait for the default stream
  }
  template <class T> T* as() const { return static_cast<T*>(memory_.get()); }
  std::size_t bytes() const { return memory_ ? bytes_ : 0; }

 private:
  struct Free {
    void operator()(void* memory) const { cudaFree(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  std::size_t bytes_ = 0;
};

/// Owns one zeroed piece of page-locked host memory, which copies queued on a stream need. As Memory else.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  explicit PinnedMemory(std::size_t bytes) : bytes_(round_up(bytes, alignment)) {
    if (bytes_ == 0) return;
    void* taken = nullptr;
    const cudaError_t error = cudaMallocHost(&taken, bytes_);
    if (error == cudaErrorMemoryAllocation) detail::refused("the host (pinned memory)", bytes_);
    check(error);
    memory_.reset(std::memset(taken, 0, bytes_));
  }
  template <class T> T* as() const { return static_cast<T*>(memory_.get()); }
  std::size_t bytes() const { return memory_ ? bytes_ : 0; }

 private:
  struct Free {
    void operator()(void* memory) const { cudaFreeHost(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  std::size_t bytes_ = 0;
};

}  // namespace cohort::cuda
