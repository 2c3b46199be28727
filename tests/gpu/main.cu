// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/main.cu: doctest's main for tests that need a GPU; says which one, with which seed and which test case begins.
#define DOCTEST_CONFIG_IMPLEMENT
#include "support.hpp"

#include <cuda_runtime_api.h>

#include <cstdio>

namespace {

/// Names each test case as it begins: one that hangs is the last that was named.
struct Names : doctest::IReporter {
  explicit Names(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override {
    std::printf("begins: %s\n", test.m_name);
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
DOCTEST_REGISTER_LISTENER("names", 1, Names);

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // each line at once, also into a pipe
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
