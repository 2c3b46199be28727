// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/context.hpp: one GPU for one rank: chosen, described, with its cuBLASLt.
#pragma once
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <cohort/core/error.hpp>
#include <cohort/device/cuda/error.hpp>
#include <cstddef>
#include <memory>
#include <source_location>
#include <string>
#include <vector>

namespace cohort::cuda {

/// How many GPUs this process sees.
///
/// Errors   InvalidInput when there is none, or no driver for them.
inline int num_gpus() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  cudaGetLastError();
  if (error == cudaErrorInsufficientDriver)
    throw InvalidInput(-1, "GPU",
                       "there is no driver, or it is older than the CUDA toolkit of this program. "
                       "Install a newer one (nvidia-smi shows it), or train on the CPU.");
  if (error == cudaSuccess || error == cudaErrorNoDevice)
    throw InvalidInput(
        -1, "GPU",
        "this process sees none. Compare nvidia-smi -L with CUDA_VISIBLE_DEVICES, or "
        "train on the CPU.");
  detail::raise(error, std::source_location::current());
}

/// Makes a GPU the calling thread's and keeps what is opened once for it. One per rank; used by the
/// rank's thread. Stays where it is: devices point to it.
///
/// Cost     the first one on a GPU starts CUDA there: some 100 ms and some 100 MB of its memory.
/// Errors   InvalidInput: no such GPU. Error: CUDA or cuBLASLt refuses.
class Context {
 public:
  explicit Context(int gpu) : gpu_(gpu) {
    const int count = num_gpus();
    if (gpu < 0 || gpu >= count)
      throw InvalidInput(-1, "GPU",
                         "number " + std::to_string(gpu) + " is asked for, and this process sees " +
                             std::to_string(count) + " (numbers 0 to " + std::to_string(count - 1) +
                             "). Start fewer ranks on this machine, or name the GPUs, as in "
                             "--gpus 0,1; CUDA_VISIBLE_DEVICES may hide some.");
    use();
    num_multiprocessors_ = attribute(cudaDevAttrMultiProcessorCount);
    compute_capability_ = 10 * attribute(cudaDevAttrComputeCapabilityMajor) +
                          attribute(cudaDevAttrComputeCapabilityMinor);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() {
    kept_.clear();
    if (blas_ != nullptr) cublasLtDestroy(blas_);
  }

  /// Makes the GPU the calling thread's: other threads of the rank begin with it.
  void use() const { check(cudaSetDevice(gpu_)); }
  int gpu() const { return gpu_; }
  int num_multiprocessors() const { return num_multiprocessors_; }
  /// 80 for 8.0, 90 for 9.0.
  int compute_capability() const { return compute_capability_; }
  std::string name() const {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, gpu_));
    return properties.name;
  }
  std::size_t total_bytes() const { return memory().total; }
  /// Not taken by anybody at this moment.
  std::size_t free_bytes() const { return memory().free; }

  /// Opened when it is first asked for.
  cublasLtHandle_t blas() {
    if (blas_ == nullptr) {
      const cublasStatus_t status = cublasLtCreate(&blas_);
      if (status != CUBLAS_STATUS_SUCCESS)
        throw Error(-1, "cublasLtCreate",
                    std::string(cublasLtGetStatusName(status)) + " (" +
                        cublasLtGetStatusString(status) +
                        "). Often the GPU has no memory left: nvidia-smi says who holds it.");
    }
    return blas_;
  }
  /// The one T of this GPU, made when it is first asked for, gone before blas(). For what ops remember
  /// from call to call, such as algorithms that were chosen.
  template <class T> T& kept() {
    for (const Kept& k : kept_) {
      if (k.type == &identity<T>) return *static_cast<T*>(k.object.get());
    }
    kept_.push_back({&identity<T>, std::make_shared<T>()});
    return *static_cast<T*>(kept_.back().object.get());
  }

 private:
  struct Bytes {
    std::size_t free = 0, total = 0;
  };
  struct Kept {
    const char* type;
    std::shared_ptr<void> object;
  };
  template <class T> static inline const char identity = 0;

  int attribute(cudaDeviceAttr what) const {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, what, gpu_));
    return value;
  }
  Bytes memory() const {
    Bytes bytes;
    use();
    check(cudaMemGetInfo(&bytes.free, &bytes.total));
    return bytes;
  }

  int gpu_, num_multiprocessors_ = 0, compute_capability_ = 0;
  cublasLtHandle_t blas_ = nullptr;
  std::vector<Kept> kept_;
};

}  // namespace cohort::cuda
