// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/machine_test.cpp: a rank's streams on its GPU, and what they communicate through.
#include <cohort/run/cuda/machine.hpp>

#include <doctest/doctest.h>

#include <cohort/launch.hpp>
#include <stdexcept>
#include <vector>

#include "support/cuda_double/double.hpp"
#include "support/nccl_double/ranks.hpp"

using namespace cohort;

namespace {

static_assert(std::is_same_v<detail::Machine<Threads, Cuda>::Comm, SharedGpu>);
static_assert(std::is_same_v<detail::Machine<Recorder<Threads>, Cuda>::Comm, Recorder<SharedGpu>>);

TEST_CASE("Machine: three streams and the planned workspace on the GPU, given back at the end") {
  const std::size_t before = cuda_double::device_memory().live_bytes;
  const std::size_t streams = cuda_double::live_streams();
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    const detail::Machine<Threads, Cuda> machine(world, 0, false);
    CHECK(machine.compute().stream != machine.communication().stream);
    CHECK(cuda_double::live_streams() == streams + 3);
    CHECK(cuda_double::device_memory().live_bytes - before ==
          workspace_bytes<Cuda> + state_bytes<Cuda>);
    CHECK(machine.compute().workspace_bytes == workspace_bytes<Cuda>);
    machine.settle();
  });
  CHECK(cuda_double::device_memory().live_bytes == before);
  CHECK(cuda_double::live_streams() == streams);
}

TEST_CASE("Machine: threads on one GPU add up their memory on the communication stream") {
  launch<Threads>({.ranks = 3}, [](Threads& world) {
    const detail::Machine<Threads, Cuda> machine(world, 0, false);
    cuda::Memory memory(256 * sizeof(float));
    const std::vector<float> mine(256, static_cast<float>(1 << world.rank()));
    machine.communication().upload(memory.as<float>(), mine.data(), memory.bytes());
    machine.comm().all_reduce(memory.as<float>(), std::size_t{256});
    std::vector<float> sum(256);
    machine.communication().download(sum.data(), memory.as<float>(), memory.bytes());
    CHECK(sum == std::vector<float>(256, 7.0f));
    machine.settle();
  });
}

TEST_CASE("Machine: report_to() says where kernels add losses and leave faults") {
  launch<Threads>({.ranks = 1}, [](Threads& world) {
    detail::Machine<Threads, Cuda> machine(world, 0, false);
    CHECK(machine.compute().loss == nullptr);
    double* const loss = reinterpret_cast<double*>(machine.state());
    machine.report_to(loss, nullptr);
    CHECK(machine.compute().loss == loss);
    CHECK(machine.communication().loss == nullptr);
  });
}

/// Rank 0 queues work of many markers behind a collective to which rank 1 does not come.
TEST_CASE(
    "Machine: a host far ahead of its GPU hears that a peer is gone, before a launch holds it") {
  test::Machine machines;
  cuda_double::limit_queues(1000);
  int last = -1;
  const auto rank = [&](Nccl& world) {
    const detail::Machine<Nccl, Cuda> machine(world, 0, false);
    world.barrier();
    if (world.rank() == 1) throw std::runtime_error("gone");
    cuda::Memory memory(1 << 20);
    machine.comm().all_reduce(memory.as<float>(), std::size_t{1} << 18);
    cuda::Event reduced;
    reduced.record(machine.communication().stream);
    reduced.delay(machine.compute().stream);
    for (int marker = 0; marker < 1000; ++marker) {
      last = marker;
      machine.keep_pace();
      for (int kernel = 0; kernel < 30; ++kernel)
        cuda::check(cuda_double::enqueue(machine.compute().stream, [] {}));
    }
  };
  CHECK_THROWS_WITH(launch<Nccl>({.ranks = 2, .gpus = {0, 1}}, rank), "gone");
  CHECK(last > 16);  // 480 launches ahead
  CHECK(last < 33);
  cuda_double::limit_queues(0);
}

TEST_CASE("Machine: marks of pace are no part of a graph, and one rank alone needs none") {
  test::Machine machines;
  launch<Nccl>({.ranks = 2, .gpus = {0, 1}}, [](Nccl& world) {
    const detail::Machine<Nccl, Cuda> machine(world, 0, false);
    const cudaStream_t stream = machine.compute().stream;
    cuda::check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    cuda::calls() += 1000;
    machine.keep_pace();
    cudaGraph_t graph = nullptr;
    cuda::check(cudaStreamEndCapture(stream, &graph));
    std::size_t nodes = 1;
    cuda::check(cudaGraphGetNodes(graph, nullptr, &nodes));
    CHECK(nodes == 0);
    cudaGraphDestroy(graph);
  });
  launch<Nccl>({.ranks = 1, .gpus = {0}}, [](Nccl& world) {
    const detail::Machine<Nccl, Cuda> machine(world, 0, false);
    const int before = cuda_double::calls("cudaEventRecord");
    cuda::calls() += 1000;
    machine.keep_pace();
    CHECK(cuda_double::calls("cudaEventRecord") == before);
  });
}

}  // namespace
