// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/error.hpp: what a CUDA call returned becomes an exception that says what to do.
#pragma once
#include <cuda_runtime_api.h>

#include <cohort/core/error.hpp>
#include <cstdint>
#include <source_location>
#include <string>

namespace cohort::cuda {

namespace detail {
inline const char* advice(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "The GPU (or the host, for pinned memory) has no room left. Use a smaller batch, more "
             "GradAccum, "
             "more GPUs with sharding, or a smaller model; print(plan) lists what is needed, "
             "nvidia-smi who "
             "else holds memory.";
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
      return "Compare with nvidia-smi -L and CUDA_VISIBLE_DEVICES.";
    case cudaErrorInsufficientDriver:
      return "The driver is missing or older than the CUDA toolkit of this program: update the "
             "driver or build "
             "with an older toolkit.";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      return "The program was not compiled for this GPU: add its architecture to "
             "CMAKE_CUDA_ARCHITECTURES "
             "(nvidia-smi --query-gpu=compute_cap --format=csv).";
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorAssert:
      return "A kernel that was queued earlier did this, and the process cannot use the GPU any "
             "more: run it "
             "under compute-sanitizer to see which.";
    case cudaErrorLaunchOutOfResources:
    case cudaErrorInvalidConfiguration:
      return "The kernel asks for more threads, registers or shared memory than this GPU has.";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
    case cudaErrorStreamCaptureUnjoined:
    case cudaErrorStreamCaptureIsolation:
    case cudaErrorStreamCaptureImplicit:
    case cudaErrorCapturedEvent:
      return "A step that is captured into a graph may only queue work: allocate, synchronise and "
             "read "
             "results before or after it.";
    case cudaErrorECCUncorrectable:
      return "The GPU's memory is damaged: take this GPU out of service.";
    default:
      return "compute-sanitizer and CUDA_LAUNCH_BLOCKING=1 help to find the cause.";
  }
}

[[noreturn]] inline void raise(cudaError_t error, std::source_location place) {
  cudaGetLastError();  // it is reported here: the next launch is not to blame
  throw Error(-1, "CUDA",
              std::string(cudaGetErrorName(error)) + " (" + cudaGetErrorString(error) + ") at " +
                  place.file_name() + ":" + std::to_string(place.line()) + ". " + advice(error));
}
}  // namespace detail

/// Calls that this thread has checked so far: no fewer than it has queued kernels, copies and events.
inline std::uint64_t& calls() {
  thread_local std::uint64_t count = 0;
  return count;
}

/// Returns if a CUDA call succeeded. Kernels and copies run later than the call that queues them, so an
/// error that they caused may be reported by any later call.
///
/// Errors   Error with CUDA's name and text for it, the caller's file and line, and what to do.
inline void check(cudaError_t error, std::source_location place = std::source_location::current()) {
  ++calls();
  if (error != cudaSuccess) [[unlikely]]
    detail::raise(error, place);
}

/// Throws ContractBroken for a kernel of fewer than 0 blocks: somebody counts 2^31 elements in an int.
inline void check_blocks(int blocks, std::source_location place = std::source_location::current()) {
  if (blocks >= 0) return;
  throw ContractBroken(-1, "CUDA",
                       "the kernel launched at " + std::string(place.file_name()) + ":" +
                           std::to_string(place.line()) + " was given " + std::to_string(blocks) +
                           " blocks: a count of elements did not fit an int. Count them in "
                           "std::size_t.");
}

}  // namespace cohort::cuda
