// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/main.cu: doctest's main for tests that need a GPU; says which one and with which seed.
#define DOCTEST_CONFIG_IMPLEMENT
#include "support.hpp"

#include <cuda_runtime_api.h>

#include <cstdio>

int main(int argc, char** argv) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    std::printf("gpu_test: there is no GPU here (%s). %s\n",
                error == cudaSuccess ? "none is visible" : cudaGetErrorString(error),
                "Run tools/gpu-suite on a machine that has one.");
    return std::getenv("COHORT_REQUIRE_GPU") != nullptr ? 1 : 77;  // 77: ctest counts it as skipped
  }
  cudaDeviceProp gpu{};
  if (cudaGetDeviceProperties(&gpu, 0) != cudaSuccess) return 1;
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  std::printf(
      "GPU: %s, compute capability %d.%d, %zu MiB, %d multiprocessors; driver %d, runtime %d\n",
      gpu.name, gpu.major, gpu.minor, gpu.totalGlobalMem >> 20, gpu.multiProcessorCount, driver,
      runtime);
  std::printf("seed: COHORT_SEED=%llu\n",
              static_cast<unsigned long long>(cohort::gpu_test::seed()));
  return doctest::Context(argc, argv).run();
}
