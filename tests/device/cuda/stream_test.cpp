// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/stream_test.cpp: a stream does its work in order and apart from other streams.
#include <cohort/device/cuda/stream.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <support/cuda_double/double.hpp>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

static_assert(std::is_nothrow_move_constructible_v<cuda::Stream>);
static_assert(!std::is_copy_constructible_v<cuda::Stream>);

TEST_CASE("Stream: work is done in order, and when synchronize() returns all of it") {
  cuda_double::reset();
  const cuda::Stream stream;
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    CHECK(cuda_double::enqueue(stream.native(), [&order, i] { order.push_back(i); }) ==
          cudaSuccess);
  }
  stream.synchronize();
  REQUIRE(order.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("Stream: one does not wait for another, nor the host for either") {
  cuda_double::reset();
  const cuda::Stream held, free;
  std::atomic<bool> go = false, done = false;
  cuda_double::enqueue(held.native(), [&] {
    while (!go) std::this_thread::yield();
  });
  cuda_double::enqueue(free.native(), [&] { done = true; });
  free.synchronize();
  CHECK(done);
  CHECK(cudaStreamQuery(held.native()) == cudaErrorNotReady);
  CHECK(cudaGetLastError() == cudaErrorNotReady);
  go = true;
  held.synchronize();
  CHECK(cudaStreamQuery(held.native()) == cudaSuccess);
}

TEST_CASE("Stream: never bound to the default stream") {
  cuda_double::reset();
  const cuda::Stream stream;
  std::atomic<bool> go = false;
  cuda_double::enqueue(stream.native(), [&] {
    while (!go) std::this_thread::yield();
  });
  bool done = false;
  cuda_double::enqueue(nullptr, [&] { done = true; });  // would hang here
  CHECK(done);
  go = true;
  stream.synchronize();  // before what the work reads is gone
}

TEST_CASE("Stream: high priority is the highest of the GPU, normal the lowest") {
  cuda_double::reset();
  const cuda::Stream normal, high(cuda::Priority::high);
  int lowest = 0, highest = 0, of_normal = 1, of_high = 1;
  cudaDeviceGetStreamPriorityRange(&lowest, &highest);
  cudaStreamGetPriority(normal.native(), &of_normal);
  cudaStreamGetPriority(high.native(), &of_high);
  CHECK(of_normal == lowest);
  CHECK(of_high == highest);
  CHECK(of_high < of_normal);
}

TEST_CASE("Stream: waits_for() delays what comes after it") {
  cuda_double::reset();
  const cuda::Stream first, second;
  cuda::Event event;
  int value = 0, seen = 0;
  cuda_double::delay(first.native(), 2ms);
  cuda_double::enqueue(first.native(), [&] { value = 7; });
  event.record(first.native());
  second.waits_for(event);
  cuda_double::enqueue(second.native(), [&] { seen = value; });
  second.synchronize();
  CHECK(seen == 7);
}

TEST_CASE("Stream: one owner, and destroyed ones are gone") {
  cuda_double::reset();
  {
    cuda::Stream first;
    const cudaStream_t native = first.native();
    cuda::Stream second = std::move(first);
    CHECK(first.native() == nullptr);
    CHECK(second.native() == native);
    first = cuda::Stream();
    CHECK(cuda_double::live_streams() == 2);
    std::swap(first, second);
    CHECK(first.native() == native);
  }
  CHECK(cuda_double::live_streams() == 0);
}

TEST_CASE("Stream: what its work did wrong is thrown by the next synchronize()") {
  cuda_double::reset();
  const cuda::Stream stream;
  cuda_double::enqueue(stream.native(), [] { throw std::runtime_error("lost"); });
  CHECK_THROWS_AS(stream.synchronize(), Error);
  CHECK_THROWS_AS(stream.synchronize(), Error);  // for good
  CHECK(cuda_double::take_failure() == "work on a stream threw: lost");
  CHECK_NOTHROW(stream.synchronize());
}

TEST_CASE("Stream: work on a stream must not call CUDA") {
  cuda_double::reset();
  const cuda::Stream stream;
  cudaLaunchHostFunc(
      stream.native(), [](void*) { CHECK(cudaDeviceSynchronize() == cudaErrorNotPermitted); },
      nullptr);
  CHECK_THROWS_AS(stream.synchronize(), Error);
  CHECK(cuda_double::take_failure() == "cudaDeviceSynchronize is called by work on a stream");
}

TEST_CASE("Stream: a refused creation throws") {
  cuda_double::reset();
  cuda_double::fail("cudaStreamCreateWithPriority", 1, cudaErrorMemoryAllocation);
  CHECK_THROWS_AS(cuda::Stream(), Error);
  CHECK(cuda_double::live_streams() == 0);
}

}  // namespace
