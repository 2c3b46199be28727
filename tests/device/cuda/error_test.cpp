// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/error_test.cpp: what CUDA refuses is an exception that names it, the place and the way out.
#include <cohort/device/cuda/error.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <support/cuda_double/double.hpp>

using namespace cohort;

namespace {

std::string text_of(cudaError_t error) {
  try {
    cuda::check(error);
  } catch (const Error& thrown) {
    CHECK(thrown.operation() == "CUDA");
    return thrown.what();
  }
  return "";
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("check: success is silent") { CHECK_NOTHROW(cuda::check(cudaSuccess)); }

TEST_CASE("check: an error names CUDA's word and text for it, the caller's place, and what to do") {
  const int line = __LINE__ + 2;
  try {
    cuda::check(cudaErrorInvalidValue);
    FAIL("must throw");
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(has(text, "cudaErrorInvalidValue (invalid argument) at "));
    CHECK(has(text, "error_test.cpp:" + std::to_string(line) + ". "));
    CHECK(has(text, "compute-sanitizer"));
  }
}

TEST_CASE("check: memory, drivers, kernels and captures have advice of their own") {
  CHECK(has(text_of(cudaErrorMemoryAllocation), "print(plan)"));
  CHECK(has(text_of(cudaErrorInsufficientDriver), "update the driver"));
  CHECK(has(text_of(cudaErrorNoKernelImageForDevice), "CMAKE_CUDA_ARCHITECTURES"));
  CHECK(has(text_of(cudaErrorIllegalAddress), "cannot use the GPU any more"));
  CHECK(has(text_of(cudaErrorInvalidConfiguration), "shared memory than this GPU has"));
  CHECK(has(text_of(cudaErrorStreamCaptureUnsupported), "may only queue work"));
  CHECK(has(text_of(cudaErrorNoDevice), "CUDA_VISIBLE_DEVICES"));
  CHECK(has(text_of(cudaErrorECCUncorrectable), "out of service"));
}

TEST_CASE("check: an error that was thrown is not CUDA's last error any more") {
  cuda_double::reset();
  void* p = nullptr;
  cuda_double::fail("cudaMalloc", 1, cudaErrorMemoryAllocation);
  CHECK_THROWS_AS(cuda::check(cudaMalloc(&p, 64)), Error);
  CHECK(cudaPeekAtLastError() == cudaSuccess);
}

TEST_CASE("check_blocks: a count that did not fit is refused with the place of the launch") {
  cuda::check_blocks(0);
  cuda::check_blocks(1 << 30);
  try {
    cuda::check_blocks(-1);
    FAIL("accepted");
  } catch (const ContractBroken& e) {
    CHECK(has(e.what(), "error_test.cpp:"));
    CHECK(has(e.what(), "std::size_t"));
  }
}

}  // namespace
