// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/inputs_test.cpp: rows reach the GPU although the caller changes them at once.
#include <cohort/cuda.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "support/cuda_double/double.hpp"

using namespace cohort;

namespace {

using Run = Trainer<nn::Sequential<nn::Embedding<16, 4>, nn::Linear<4, 3>>, nn::CrossEntropy>;
using Plan = Run::plan_on<Cuda>;
using Machine = detail::Machine<Threads, Cuda>;

template <class F> void with_inputs(F f) {
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    const Machine machine(world, 0, false);
    detail::Inputs<Plan, Machine, Cuda> inputs(machine, {8, 3});
    f(machine, inputs);
    machine.settle();
  });
}

TEST_CASE("Inputs: three steps are queued, each reads the rows it was given") {
  with_inputs([](const Machine& machine, auto& inputs) {
    cuda_double::delay(machine.compute().stream, std::chrono::microseconds(200));
    std::vector<int> x(24), y(24);
    cuda::Memory seen(3 * 2 * 24 * sizeof(int));
    for (int step = 0; step < 3; ++step) {
      x.assign(24, step), y.assign(24, 100 + step);
      const auto rows = inputs(Tokens{x.data(), {8, 3}}, Tokens{y.data(), {8, 3}});
      CHECK(cuda_double::on_device(rows.first.data, 24 * sizeof(int)));
      CHECK(cuda_double::on_device(rows.second.data, 24 * sizeof(int)));
      int* to = seen.as<int>() + step * 48;
      machine.compute().copy(to, rows.first.data, 24 * sizeof(int));
      machine.compute().copy(to + 24, rows.second.data, 24 * sizeof(int));
    }
    std::vector<int> found(144);
    machine.compute().download(found.data(), seen.as<int>(), found.size() * sizeof(int));
    cuda_double::reset();
    for (int step = 0; step < 3; ++step) {
      for (int i = 0; i < 24; ++i) CHECK(found[std::size_t(step * 48 + i)] == step);
      for (int i = 24; i < 48; ++i) CHECK(found[std::size_t(step * 48 + i)] == 100 + step);
    }
  });
}

TEST_CASE(
    "Inputs: takes the planned bytes of the GPU; no copy in a step waits for pageable memory") {
  const std::size_t before = cuda_double::device_memory().live_bytes;
  with_inputs([&](const Machine& machine, auto& inputs) {
    CHECK(cuda_double::device_memory().live_bytes - before ==
          2 * Plan::staged_bytes({8, 3}) + workspace_bytes<Cuda> + state_bytes<Cuda>);
    cuda_double::record(true);
    const std::vector<int> x(24, 1);
    inputs(Tokens{x.data(), {8, 3}}, Tokens{x.data(), {8, 3}});
    machine.settle();
    for (const auto& r : cuda_double::take_log()) CHECK_FALSE(r.pageable);
    cuda_double::reset();
  });
}

TEST_CASE(
    "Inputs: the next step's rows come while the GPU computes, and wait for those before to be "
    "moved") {
  with_inputs([](const Machine& machine, auto& inputs) {
    const cudaStream_t compute = machine.compute().stream;
    std::atomic<bool> go{false};
    const auto hold = [&] {
      cuda::check(cuda_double::enqueue(compute, [&] {
        while (!go) std::this_thread::sleep_for(std::chrono::microseconds(50));
      }));
    };
    const auto arrives = [&](int value) {
      const std::vector<int> x(24, value), y(24, 100 + value);
      return inputs(Tokens{x.data(), {8, 3}}, Tokens{y.data(), {8, 3}});
    };
    const auto copied = [&] {
      const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
      while (cudaStreamQuery(machine.copies()) != cudaSuccess)
        if (std::chrono::steady_clock::now() > limit) return false;
      return true;
    };
    const auto first = arrives(1);
    machine.settle();
    hold();  // step 1 computes
    arrives(2);
    CHECK(copied());  // its rows are there ...
    arrives(3);
    CHECK_FALSE(copied());  // ... and those of step 3 wait until the ones of step 2 are moved
    std::vector<int> before(24);
    std::memcpy(before.data(), first.first.data, 24 * sizeof(int));
    CHECK(before == std::vector<int>(24, 1));  // step 1 reads its own
    go = true;
    CHECK(copied());
    machine.settle();
    std::vector<int> after(24);
    machine.compute().download(after.data(), first.second.data, 24 * sizeof(int));
    CHECK(after == std::vector<int>(24, 103));
  });
}

TEST_CASE("Inputs: result() is the host's copy of what the GPU computed") {
  with_inputs([](const Machine& machine, auto& inputs) {
    const std::vector<float> values = {1, 2, 3, 4, 5, 6};
    cuda::Memory memory(64);
    machine.compute().upload(memory.as<float>(), values.data(), 6 * sizeof(float));
    const Tensor<const float, 3> y =
        inputs.result(Tensor<const float, 3, OnGpu>{memory.as<float>(), {2, 1}});
    CHECK(y.data != memory.as<float>());
    CHECK(std::vector<float>(y.data, y.data + 6) == values);
  });
}

}  // namespace
