// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ptx/support.hpp: arrays on the machine that runs PTX, and what it found wrong.
#pragma once
#include <cohort/device/cuda/context.hpp>
#include <cohort/device/cuda/device.hpp>
#include <cohort/device/cuda/launch.hpp>
#include <cohort/device/cuda/memory.hpp>
#include <cohort/device/cuda/stream.hpp>
#include <cstddef>
#include <string>
#include <support/cuda_double/double.hpp>
#include <vector>

namespace ptx_test {

/// The first GPU with a stream and a workspace.
inline const cohort::Cuda& gpu() {
  struct Gpu {
    cohort::cuda::Context context{0};
    cohort::cuda::Stream stream;
    cohort::cuda::Memory workspace{std::size_t{32} << 20}, report{256};
    cohort::Cuda device;
    Gpu() {
      device.stream = stream.native();
      device.context = &context;
      device.workspace = workspace.as<std::byte>();
      device.workspace_bytes = workspace.bytes();
      device.loss = report.as<double>();
      device.fault = reinterpret_cast<cohort::cuda::Fault*>(report.as<std::byte>() + 128);
    }
  };
  static Gpu the_gpu;
  return the_gpu.device;
}

template <class T> class Array {
 public:
  explicit Array(const std::vector<T>& values)
      : count_(values.size()), memory_(values.size() * sizeof(T)) {
    gpu().upload(memory_.as<std::byte>(), reinterpret_cast<const std::byte*>(values.data()),
                 count_ * sizeof(T));
  }
  T* data() const { return memory_.template as<T>(); }
  std::vector<T> download() const {
    std::vector<T> values(count_);
    gpu().download(reinterpret_cast<std::byte*>(values.data()), memory_.template as<std::byte>(),
                   count_ * sizeof(T));
    return values;
  }

 private:
  std::size_t count_;
  cohort::cuda::Memory memory_;
};

/// Runs a kernel and returns what the machine found wrong with it ("": nothing).
template <class K> std::string mistake_of(int blocks, const K& kernel) {
  try {
    cohort::cuda::launch(gpu(), blocks, kernel);
  } catch (const cohort::Error&) {  // it had failed before launch() asked
  }
  cudaStreamSynchronize(gpu().stream);
  const std::string found = cohort::cuda_double::take_failure();
  cudaGetLastError();
  return found;
}

}  // namespace ptx_test
