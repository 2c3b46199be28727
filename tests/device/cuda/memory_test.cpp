// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/memory_test.cpp: a GPU's memory is zero, rounded as the host's, and given back.
#include <cohort/core/arena.hpp>
#include <cohort/device/cuda/memory.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <support/cuda_double/double.hpp>
#include <type_traits>
#include <utility>
#include <vector>

using namespace cohort;

namespace {

static_assert(std::is_nothrow_move_constructible_v<cuda::Memory>);
static_assert(!std::is_copy_constructible_v<cuda::Memory>);
static_assert(!std::is_copy_constructible_v<cuda::PinnedMemory>);

template <class M> cuda_double::Memory counted() {
  if constexpr (std::is_same_v<M, cuda::Memory>)
    return cuda_double::device_memory();
  else
    return cuda_double::pinned_memory();
}

TEST_CASE_TEMPLATE("Memory: zero throughout, of the size that HostMemory takes", M, cuda::Memory,
                   cuda::PinnedMemory) {
  cuda_double::reset();
  for (const std::size_t bytes : {1u, 63u, 64u, 65u, 1000u, 1u << 20}) {
    CAPTURE(bytes);
    const M memory(bytes);
    const std::size_t taken = HostMemory(bytes).bytes();
    CHECK(memory.bytes() == taken);
    CHECK(counted<M>().sizes == std::vector<std::size_t>{taken});
    std::vector<unsigned char> seen(taken, 1);
    REQUIRE(cudaMemcpy(seen.data(), memory.template as<void>(), taken, cudaMemcpyDefault) ==
            cudaSuccess);
    CHECK(std::count(seen.begin(), seen.end(), 0) == static_cast<std::ptrdiff_t>(taken));
  }
  CHECK(counted<M>().live_bytes == 0);
  CHECK(counted<M>().allocations == 6);
}

TEST_CASE_TEMPLATE("Memory: one owner", M, cuda::Memory, cuda::PinnedMemory) {
  cuda_double::reset();
  M empty, none(0), first(100);
  CHECK(empty.bytes() == 0);
  CHECK(none.template as<char>() == nullptr);
  char* at = first.template as<char>();
  M second = std::move(first);
  CHECK(first.bytes() == 0);
  CHECK(second.bytes() == 128);
  CHECK(second.template as<char>() == at);
  second = M(256);
  CHECK(counted<M>().sizes == std::vector<std::size_t>{256});
}

TEST_CASE("Memory: a GPU that has no room says so with the bytes") {
  cuda_double::reset();
  cuda_double::limit_memory(1000);
  const cuda::Memory fits(900);
  try {
    const cuda::Memory more(100);
    FAIL("must throw");
  } catch (const Error& error) {
    const std::string text = error.what();
    CHECK(text.find("the GPU refused 128 bytes") != std::string::npos);
    CHECK(text.find("print(plan)") != std::string::npos);
  }
  CHECK(cudaPeekAtLastError() == cudaSuccess);
  cuda_double::fail("cudaMallocHost", 1, cudaErrorMemoryAllocation);
  CHECK_THROWS_WITH_AS(cuda::PinnedMemory(64), doctest::Contains("pinned memory) refused 64 bytes"),
                       Error);
  cuda_double::reset();
}

TEST_CASE("Memory: nothing is kept when its clearing fails") {
  cuda_double::reset();
  cuda_double::fail("cudaMemset", 1, cudaErrorLaunchFailure);
  CHECK_THROWS_AS(cuda::Memory(64), Error);
  CHECK(cuda_double::device_memory().live_bytes == 0);
}

}  // namespace
