// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/context_test.cpp: a rank's GPU is the one asked for, or the error says what there is.
#include <cohort/device/cuda/context.hpp>
#include <cohort/device/cuda/memory.hpp>

#include <doctest/doctest.h>

#include <support/cuda_double/double.hpp>
#include <thread>
#include <type_traits>

using namespace cohort;

namespace {

static_assert(!std::is_copy_constructible_v<cuda::Context>);
static_assert(!std::is_move_constructible_v<cuda::Context>);

int current() {
  int device = -1;
  cudaGetDevice(&device);
  return device;
}

TEST_CASE("Context: its GPU is the thread's, and memory comes from there") {
  cuda_double::reset();
  cuda_double::set_devices(3);
  cuda_double::set_properties(78, 8, 6);
  {
    const cuda::Context context(2);
    CHECK(context.gpu() == 2);
    CHECK(current() == 2);
    CHECK(context.num_multiprocessors() == 78);
    CHECK(context.compute_capability() == 86);
    CHECK(context.name() == "double of a GPU");
    const std::size_t before = context.free_bytes();
    const cuda::Memory memory(1 << 20);
    CHECK(cuda_double::device_memory(2).live_bytes == 1 << 20);
    CHECK(cuda_double::device_memory(0).live_bytes == 0);
    CHECK(context.free_bytes() == before - (1 << 20));
    CHECK(context.total_bytes() >= before);
    std::thread([&] {
      CHECK(current() == 0);
      context.use();
      CHECK(current() == 2);
    }).join();
  }
  cudaSetDevice(0);
  cuda_double::reset();
}

TEST_CASE("Context: a GPU that is not there is an error that says how many are") {
  cuda_double::reset();
  cuda_double::set_devices(2);
  for (const int gpu : {2, -1, 99}) {
    CHECK_THROWS_WITH_AS(cuda::Context{gpu},
                         doctest::Contains("this process sees 2 (numbers 0 to 1)"), InvalidInput);
  }
  CHECK_THROWS_WITH_AS(cuda::Context{2}, doctest::Contains("--gpus 0,1"), InvalidInput);
  cuda_double::set_devices(0);
  CHECK_THROWS_WITH_AS(cuda::Context{0}, doctest::Contains("this process sees none"), InvalidInput);
  cuda_double::set_devices(1);
  cuda_double::fail("cudaGetDeviceCount", 1, cudaErrorInsufficientDriver);
  CHECK_THROWS_WITH_AS(cuda::num_gpus(), doctest::Contains("no driver, or it is older"),
                       InvalidInput);
  cuda_double::fail("cudaGetDeviceCount", 1, cudaErrorECCUncorrectable);
  CHECK_THROWS_WITH_AS(cuda::num_gpus(), doctest::Contains("cudaErrorECCUncorrectable"), Error);
  CHECK(cudaPeekAtLastError() == cudaSuccess);
}

TEST_CASE("Context: cuBLASLt is opened once, when it is first asked for") {
  cuda_double::reset();
  {
    cuda::Context context(0);
    CHECK(cuda_double::calls("cublasLtCreate") == 0);
    const cublasLtHandle_t first = context.blas();
    CHECK(context.blas() == first);
    CHECK(cuda_double::calls("cublasLtCreate") == 1);
    CHECK(cuda_double::live_blas_objects() == 1);
  }
  CHECK(cuda_double::live_blas_objects() == 0);
  cuda_double::fail("cublasLtCreate", 1, CUBLAS_STATUS_ALLOC_FAILED);
  cuda::Context context(0);
  CHECK_THROWS_WITH_AS(context.blas(), doctest::Contains("CUBLAS_STATUS_ALLOC_FAILED"), Error);
  CHECK_NOTHROW(context.blas());
}

struct Counter {
  int value = 0;
};
struct Layout {  // must be gone before the handle
  ~Layout() { CHECK(cuda_double::live_blas_objects() == 1); }
};
TEST_CASE("Context: keeps one of each type, and destroys it before cuBLASLt") {
  cuda_double::reset();
  cuda::Context first(0), second(0);
  first.kept<Counter>().value = 5;
  first.kept<Layout>();
  CHECK(first.kept<Counter>().value == 5);
  CHECK(second.kept<Counter>().value == 0);
  first.blas();
}

}  // namespace
