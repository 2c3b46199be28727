// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/support.hpp: what tests of CUDA bodies share: a device with all it lends, arrays on it.
#pragma once
#include <doctest/doctest.h>

#include <cohort/device/cuda/context.hpp>
#include <cohort/device/cuda/launch.hpp>
#include <cohort/device/cuda/memory.hpp>
#include <string>
#include <support/cuda_double/double.hpp>

#include "../support.hpp"

namespace cohort::testing {

/// Bytes of NaN in every floating-point type, and of impossible tokens.
inline constexpr int poison = 0xff;

/// An array in the GPU's memory; beyond its end, and before anything is written, it is poisoned.
template <class T> class GpuArray {
 public:
  explicit GpuArray(std::size_t n) : size_(n), memory_(n * sizeof(T) + guard) {
    cudaMemset(memory_.as<void>(), poison, n * sizeof(T) + guard);
  }
  GpuArray(const std::vector<T>& values) : GpuArray(values.size()) {
    cudaMemcpy(data(), values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice);
  }
  T* data() { return memory_.template as<T>(); }
  const T* view() { return data(); }
  /// Waits for all work, then checks that nothing was written beyond the end.
  std::vector<T> get() {
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    std::vector<unsigned char> bytes(size_ * sizeof(T) + guard);
    cudaMemcpy(bytes.data(), data(), bytes.size(), cudaMemcpyDeviceToHost);
    for (std::size_t i = size_ * sizeof(T); i < bytes.size(); ++i) REQUIRE(bytes[i] == poison);
    std::vector<T> values(size_);
    if (size_ > 0) std::memcpy(static_cast<void*>(values.data()), bytes.data(), size_ * sizeof(T));
    return values;
  }
  T at(std::size_t i) { return get()[i]; }

 private:
  static constexpr std::size_t guard = 64;
  std::size_t size_;
  cuda::Memory memory_;
};

/// A stream with a poisoned workspace, a loss and a fault.
class Gpu {
 public:
  explicit Gpu(std::size_t workspace_bytes = std::size_t{4} << 20)
      : workspace_(workspace_bytes),
        loss_(std::vector<double>(2)),
        fault_(std::vector<cuda::Fault>(1)) {
    cudaMemset(workspace_.as<void>(), poison, workspace_bytes);
    cuda::check(cudaStreamCreateWithFlags(&device_.stream, cudaStreamNonBlocking));
    device_.workspace = workspace_.as<std::byte>();
    device_.workspace_bytes = workspace_bytes;
    device_.loss = loss_.data();
    device_.fault = fault_.data();
  }
  Gpu(const Gpu&) = delete;
  ~Gpu() { cudaStreamDestroy(device_.stream); }

  operator const Cuda&() const { return device_; }
  Cuda& device() { return device_; }
  std::vector<double> loss() { return loss_.get(); }
  cuda::Fault fault() { return fault_.get()[0]; }

 private:
  Cuda device_;
  cuda::Memory workspace_;
  GpuArray<double> loss_;
  GpuArray<cuda::Fault> fault_;
};

/// A device whose ops multiply matrices.
struct Blas {
  cuda::Context context{0};
  Gpu gpu;
  Blas() { gpu.device().context = &context; }
  const Cuda& device() { return gpu.device(); }
};

/// Poison for `first`, else values to add to.
template <class D> std::vector<D> before(std::size_t n, bool first, int seed = 77) {
  if (!first) return normal<D>(n, seed);
  std::vector<D> v(n);
  if (n > 0) std::memset(static_cast<void*>(v.data()), poison, n * sizeof(D));
  return v;
}

}  // namespace cohort::testing
