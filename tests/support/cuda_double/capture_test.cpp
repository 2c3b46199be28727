// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/cuda_double/capture_test.cpp: graphs hold what was captured, and captures forbid what CUDA forbids.
#include <cohort/device/cuda/event.hpp>
#include <cohort/device/cuda/launch.hpp>
#include <cohort/device/cuda/memory.hpp>
#include <cohort/device/cuda/stream.hpp>

#include <doctest/doctest.h>

#include <string>
#include <support/cuda_double/double.hpp>
#include <thread>

using namespace cohort;

namespace {

struct AddTo {
  static constexpr int threads = 32;
  struct Shared {};
  int* to;
  int amount;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    if (block.thread() == 0) *to = *to * 10 + amount;
  }
};

/// Captures what `queue` queues, and owns the graph.
class Graph {
 public:
  template <class F>
  Graph(cudaStream_t stream, F queue,
        cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal) {
    REQUIRE(cudaStreamBeginCapture(stream, mode) == cudaSuccess);
    queue();
    ended_ = cudaStreamEndCapture(stream, &graph_);
    if (ended_ == cudaSuccess) CHECK(cudaGraphInstantiate(&exec_, graph_, 0) == cudaSuccess);
  }
  Graph(const Graph&) = delete;
  ~Graph() {
    if (exec_ != nullptr) cudaGraphExecDestroy(exec_);
    if (graph_ != nullptr) cudaGraphDestroy(graph_);
  }
  cudaError_t ended() const { return ended_; }
  void launch(cudaStream_t stream) const { CHECK(cudaGraphLaunch(exec_, stream) == cudaSuccess); }
  std::size_t size() const {
    std::size_t count = 0;
    cudaGraphGetNodes(graph_, nullptr, &count);
    return count;
  }

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t exec_ = nullptr;
  cudaError_t ended_;
};

int value_of(const cuda::Memory& memory) {
  int value = 0;
  CHECK(cudaMemcpy(&value, memory.as<int>(), sizeof value, cudaMemcpyDeviceToHost) == cudaSuccess);
  return value;
}

TEST_CASE("capture: nothing runs while it is captured, all of it at every launch") {
  cuda_double::reset();
  const cuda::Stream stream;
  const cuda::Memory memory(64), source(64);
  const Cuda device{.stream = stream.native()};
  cuda_double::record(true);
  {
    const Graph graph(stream.native(), [&] {
      cuda::launch(device, 1, AddTo{memory.as<int>(), 1});
      cuda::launch(device, 1, AddTo{memory.as<int>(), 2});
    });
    CHECK(graph.size() == 2);
    stream.synchronize();
    CHECK(value_of(memory) == 0);
    for (const auto& entry : cuda_double::take_log()) {
      CHECK(entry.captured == (entry.kind == cuda_double::Record::kernel));
    }
    graph.launch(stream.native());
    graph.launch(stream.native());
    stream.synchronize();
    CHECK(value_of(memory) == 1212);
    graph.launch(nullptr);
    CHECK(value_of(memory) == 121212);
  }
  cuda_double::reset();
}

TEST_CASE(
    "capture: streams join through events, and their order is kept whatever ready work is first") {
  cuda_double::reset();
  const cuda::Stream main, side;
  const cuda::Memory memory(64), other(64);
  cuda::Event fork, join;
  const Graph graph(main.native(), [&] {
    cuda::launch({.stream = main.native()}, 1, AddTo{memory.as<int>(), 1});
    fork.record(main.native());
    side.waits_for(fork);
    cuda::launch({.stream = side.native()}, 1, AddTo{memory.as<int>(), 2});
    join.record(side.native());
    cuda::launch({.stream = main.native()}, 1, AddTo{other.as<int>(), 7});  // beside the 2
    main.waits_for(join);
    cuda::launch({.stream = main.native()}, 1, AddTo{memory.as<int>(), 3});
  });
  CHECK(graph.size() == 4);
  for (const auto order : {cuda_double::Order::forward, cuda_double::Order::backward}) {
    cuda_double::set_order(order);
    graph.launch(main.native());
  }
  main.synchronize();
  CHECK(value_of(memory) == 123123);
  CHECK(value_of(other) == 77);
  cuda::launch({.stream = side.native()}, 1, AddTo{other.as<int>(), 5});  // captures no more
  side.synchronize();
  CHECK(value_of(other) == 775);
  cuda_double::reset();
}

TEST_CASE("capture: a missing dependency shows when ready work runs in another order") {
  cuda_double::reset();
  const cuda::Stream main, side;
  const cuda::Memory memory(64);
  cuda::Event fork, join;
  const Graph graph(main.native(), [&] {
    fork.record(main.native());
    side.waits_for(fork);
    cuda::launch({.stream = main.native()}, 1, AddTo{memory.as<int>(), 1});
    cuda::launch({.stream = side.native()}, 1, AddTo{memory.as<int>(), 2});  // should have waited
    join.record(side.native());
    main.waits_for(join);
  });
  graph.launch(main.native());
  main.synchronize();
  CHECK(value_of(memory) == 12);
  cuda_double::set_order(cuda_double::Order::backward);
  graph.launch(main.native());
  main.synchronize();
  CHECK(value_of(memory) == 1221);
  cuda_double::reset();
}

TEST_CASE("capture: a stream that did not join back spoils it") {
  cuda_double::reset();
  const cuda::Stream main, side;
  const cuda::Memory memory(64);
  cuda::Event fork;
  const Graph graph(main.native(), [&] {
    fork.record(main.native());
    side.waits_for(fork);
    cuda::launch({.stream = side.native()}, 1, AddTo{memory.as<int>(), 2});
  });
  CHECK(graph.ended() == cudaErrorStreamCaptureUnjoined);
  CHECK_THROWS_AS(side.waits_for(fork), Error);  // recorded in a capture that is over
  fork.record(main.native());
  side.waits_for(fork);
  cuda_double::reset();
}

TEST_CASE("capture: allocating, waiting and asking are errors that spoil it") {
  cuda_double::reset();
  const cuda::Stream stream, other;
  cuda::Event event, outside;
  const cuda::Memory memory(64);
  void* p = nullptr;
  int host = 0;
  outside.record(other.native());
  const auto spoils = [&](auto call, cudaError_t error) {
    const Graph graph(stream.native(), [&] {
      cuda::launch({.stream = stream.native()}, 1, AddTo{memory.as<int>(), 1});
      event.record(stream.native());
      CHECK(call() == error);
    });
    CHECK(graph.ended() == cudaErrorStreamCaptureInvalidated);
  };
  spoils([&] { return cudaMalloc(&p, 64); }, cudaErrorStreamCaptureUnsupported);
  spoils([&] { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported);
  spoils([&] { return cudaStreamSynchronize(stream.native()); }, cudaErrorStreamCaptureUnsupported);
  spoils([&] { return cudaStreamQuery(stream.native()); }, cudaErrorStreamCaptureUnsupported);
  spoils([&] { return cudaEventSynchronize(event.native()); }, cudaErrorCapturedEvent);
  spoils([&] { return cudaEventQuery(event.native()); }, cudaErrorCapturedEvent);
  spoils([&] { return cudaEventQuery(outside.native()); }, cudaErrorStreamCaptureUnsupported);
  spoils([&] { return cudaEventSynchronize(outside.native()); }, cudaErrorStreamCaptureUnsupported);
  spoils([&] { return cudaMemcpy(&host, memory.as<int>(), 4, cudaMemcpyDefault); },
         cudaErrorStreamCaptureUnsupported);
  spoils([&] { return cudaStreamWaitEvent(stream.native(), outside.native(), 0); },
         cudaErrorStreamCaptureIsolation);
  CHECK(cuda_double::device_memory().allocations == 1);
  const Graph relaxed(
      stream.native(), [&] { CHECK(cudaMalloc(&p, 64) == cudaSuccess); },
      cudaStreamCaptureModeRelaxed);
  CHECK(relaxed.ended() == cudaSuccess);
  cudaFree(p);
  const Graph relaxed_for_a_while(stream.native(), [&] {
    auto mode = cudaStreamCaptureModeRelaxed;
    cudaThreadExchangeStreamCaptureMode(&mode);
    CHECK(cudaEventQuery(outside.native()) == cudaSuccess);
    cudaThreadExchangeStreamCaptureMode(&mode);
  });
  CHECK(relaxed_for_a_while.ended() == cudaSuccess);
  CHECK(value_of(memory) == 0);
  cuda_double::reset();
}

TEST_CASE("capture: other threads are hindered by a global one only") {
  cuda_double::reset();
  const cuda::Stream stream;
  for (const auto mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal}) {
    const bool global = mode == cudaStreamCaptureModeGlobal;
    const Graph graph(
        stream.native(),
        [&] {
          std::thread([&] {
            void* p = nullptr;
            CHECK(cudaMalloc(&p, 64) == (global ? cudaErrorStreamCaptureUnsupported : cudaSuccess));
            if (p != nullptr) cudaFree(p);
          }).join();
        },
        mode);
    CHECK(graph.ended() == (global ? cudaErrorStreamCaptureInvalidated : cudaSuccess));
  }
  cuda_double::reset();
}

TEST_CASE("capture: nobody may wait for the whole GPU meanwhile, in whatever mode and thread") {
  cuda_double::reset();
  const cuda::Stream stream;
  for (const auto mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
                          cudaStreamCaptureModeRelaxed}) {
    const Graph graph(
        stream.native(),
        [&] {
          std::thread([] {
            CHECK(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported);
          }).join();
        },
        mode);
    CHECK(graph.ended() == cudaErrorStreamCaptureInvalidated);
  }
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  cuda_double::reset();
}

TEST_CASE("capture: the default stream must not be drawn in") {
  cuda_double::reset();
  cudaStream_t blocking = nullptr;
  REQUIRE(cudaStreamCreate(&blocking) == cudaSuccess);
  const Graph graph(
      blocking,
      [] { CHECK(cuda_double::enqueue(nullptr, [] {}) == cudaErrorStreamCaptureImplicit); },
      cudaStreamCaptureModeRelaxed);
  CHECK(graph.ended() == cudaErrorStreamCaptureInvalidated);
  CHECK(cudaStreamDestroy(blocking) == cudaSuccess);
  CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed) ==
        cudaErrorStreamCaptureUnsupported);
  cuda_double::reset();
}

}  // namespace
