// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_log_test.cpp: the log knows the first collective that is not done.
#include <cohort/comm/nccl_log.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("NcclLog: the oldest that is pending, by its number and call, however many there were") {
  const Machine machine;
  cuda::Stream stream;
  detail::NcclLog log;
  CHECK_FALSE(log.oldest_pending());
  std::atomic<std::uint64_t> open{0};
  const auto queue = [&](std::uint64_t number) {
    cuda::check(cuda_double::enqueue(stream.native(), [&open, number] {
      while (open.load() < number) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }));
    log.note({{CollectiveKind::broadcast, DType::f32, number, 3}, number, 2 * number},
             stream.native());
  };
  for (std::uint64_t number = 1; number <= 40; ++number) {
    queue(number);
    if (number > 5) open = number - 5;
  }
  while (log.oldest_pending()->number < 36) std::this_thread::yield();
  CHECK(log.oldest_pending()->number == 36);
  CHECK(log.oldest_pending()->turn == 72);
  CHECK(log.oldest_pending()->call == Collective{CollectiveKind::broadcast, DType::f32, 36, 3});
  CHECK(cudaGetLastError() == cudaSuccess);
  open = 40;
  stream.synchronize();
  CHECK_FALSE(log.oldest_pending());
}

TEST_CASE("NcclLog: it may be asked while the thread captures, and spoils nothing") {
  const Machine machine;
  cuda::Stream stream, other;
  detail::NcclLog log;
  std::atomic<bool> open{false};
  cuda::check(cuda_double::enqueue(stream.native(), [&open] {
    while (!open) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }));
  log.note({{CollectiveKind::barrier}, 1, 1}, stream.native());
  cuda::check(cudaStreamBeginCapture(other.native(), cudaStreamCaptureModeThreadLocal));
  const auto pending = log.oldest_pending();
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamEndCapture(other.native(), &graph) == cudaSuccess);
  open = true;
  REQUIRE(pending);
  CHECK(pending->number == 1);
  stream.synchronize();
  cuda::check(cudaGraphDestroy(graph));
}

TEST_CASE("NcclLog: collectives of a captured graph are not logged") {
  const Machine machine;
  cuda::Stream stream;
  detail::NcclLog log;
  cuda::check(cudaStreamBeginCapture(stream.native(), cudaStreamCaptureModeThreadLocal));
  log.note({{CollectiveKind::barrier}, 1, 1}, stream.native());
  cudaGraph_t graph = nullptr;
  cuda::check(cudaStreamEndCapture(stream.native(), &graph));
  CHECK_FALSE(log.oldest_pending());
  cuda::check(cudaGraphDestroy(graph));
}

}  // namespace
