// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/device.hpp: a GPU's stream as the device that ops are asked to run on.
#pragma once
#include <cuda_runtime_api.h>

#include <cohort/core/error.hpp>
#include <cohort/device/cuda/error.hpp>
#include <cohort/device/cuda/memory.hpp>
#include <cohort/device/traits.hpp>
#include <cstddef>
#include <string>

namespace cohort {

namespace cuda {
class Context;  // device/cuda/context.hpp

/// What a kernel found wrong with its data, the first that did. The host reads it with the step's report.
struct Fault {
  enum Kind : unsigned { none, token, target };
  unsigned kind = none;
  int row = 0, value = 0;
};
}  // namespace cuda

/// A stream of one GPU, and what work on it may use. Borrowed and cheap to copy; context.hpp makes them.
/// Every op on it only queues work: results are there when the stream has passed.
///
/// Units    workspace: bytes that one op at a time uses on this stream. loss: (sum, weight) in device
///          memory, to which losses add; fault: in device memory. Both may be nullptr where no op of
///          the kind is called.
struct Cuda {
  using Memory = cuda::Memory;

  cudaStream_t stream = nullptr;
  cuda::Context* context = nullptr;
  std::byte* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  double* loss = nullptr;
  cuda::Fault* fault = nullptr;
  bool tf32 = false;  // products of fp32 matrices round their inputs to 11 bits

  /// `count` elements of the workspace, from its beginning: one op takes all it needs at once.
  template <class T> T* take(std::size_t count, const char* op) const {
    if (count * sizeof(T) > workspace_bytes) {
      throw ContractBroken(-1, op,
                           std::to_string(count * sizeof(T)) + " bytes of workspace are needed, " +
                               std::to_string(workspace_bytes) +
                               " are there: use more micro-batches (GradAccum) of fewer rows.");
    }
    return reinterpret_cast<T*>(workspace);
  }

  void zero(void* at, std::size_t bytes) const {
    if (bytes > 0) cuda::check(cudaMemsetAsync(at, 0, bytes, stream));
  }
  void copy(void* to, const void* from, std::size_t bytes) const {
    if (bytes > 0) cuda::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream));
  }
  /// From or to memory of the host; returns when it is done, so not for use inside a step.
  void upload(void* to, const void* from, std::size_t bytes) const {
    if (bytes > 0) cuda::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream));
    cuda::check(cudaStreamSynchronize(stream));
  }
  void download(void* to, const void* from, std::size_t bytes) const {
    if (bytes > 0) cuda::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream));
    cuda::check(cudaStreamSynchronize(stream));
  }
};

}  // namespace cohort
