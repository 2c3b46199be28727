// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/plan_stream_test.cpp: the plan's operations and compute wait for each other by events.
#include <cohort/device/cuda/plan_stream.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <vector>

#include <cohort/device/cuda/stream.hpp>
#include "support/cuda_double/double.hpp"

using namespace cohort;

namespace {

/// Two units; operations wait for various markers, two for one.
template <int N> struct FakePlan {
  using markers = Markers<2>;
  template <MicroBatch M> static constexpr Program<3> make() {
    Program<3> p;
    p.add({OpKind::all_gather, 0, markers::begin, 1, DType::f32});
    if (is_last(M)) {
      p.add({OpKind::all_reduce, 1, markers::backward_ended(0), 1, DType::f32});
      p.add({OpKind::loss, 2, markers::backward_ended(0), 1, DType::f32});
    }
    return p;
  }
  template <MicroBatch M> static constexpr auto program = make<M>();
  template <class F> static constexpr void for_each_kind(F&& f) { for_each_micro_batch(f); }
  template <class F> static constexpr void for_each_micro_batch(F&& f) {
    if constexpr (N == 1) {
      f.template operator()<MicroBatch::only>();
    } else {
      f.template operator()<MicroBatch::first>();
      f.template operator()<MicroBatch::last>();
    }
  }
};

/// Compute writes `written`, operations read it and write `reduced`, which compute reads: plain memory, so
/// that ThreadSanitizer sees every event that is missing.
template <int N> struct FakeRun {
  using markers = typename FakePlan<N>::markers;
  cuda::Stream compute, communication{cuda::Priority::high};
  std::array<int, markers::count> written{};
  std::array<int, 3> reduced{};
  std::vector<int> order;
  int seen = 0;

  void run_op(const Op& op) {
    cuda::check(cuda_double::enqueue(communication.native(), [this, op] {
      order.push_back(op.id);
      reduced[static_cast<std::size_t>(op.id)] = written[static_cast<std::size_t>(op.after)];
    }));
  }
  void write(int marker, int value) {
    cuda::check(cuda_double::enqueue(compute.native(), [this, marker, value] {
      written[static_cast<std::size_t>(marker)] = value;
    }));
  }
  /// What compute sees of an operation's result.
  void read(int op) {
    cuda::check(cuda_double::enqueue(
        compute.native(), [this, op] { seen += reduced[static_cast<std::size_t>(op)]; }));
  }
  Cuda device(const cuda::Stream& s) const { return {.stream = s.native()}; }
};

template <int N> void steps(FakeRun<N>& run, int count) {
  using Plan = FakePlan<N>;
  CudaStream<Plan, FakeRun<N>> stream(run, run.device(run.compute), run.device(run.communication));
  CHECK_FALSE(stream.has_worker());
  for (int step = 1; step <= count; ++step) {
    Plan::for_each_micro_batch([&]<MicroBatch M>() {
      stream.template begin<M>();
      for (int marker = 0; marker < Plan::markers::count; ++marker) {
        run.write(marker, step);
        stream.reached(marker);
        if (marker == Plan::markers::forward(0)) {
          stream.wait(1);
          run.read(0);
        }
        if (is_last(M) && marker == Plan::markers::squared) {
          stream.wait(3);
          run.read(1);
          run.read(2);
        }
      }
      stream.finish();
    });
  }
  run.compute.synchronize();
  run.communication.synchronize();
}

TEST_CASE("CudaStream: operations see what was computed before their marker, compute sees them") {
  for (int late : {0, 1, 2}) {  // nobody, compute, communication
    CAPTURE(late);
    FakeRun<1> run;
    if (late == 1) cuda_double::delay(run.compute.native(), std::chrono::microseconds(100));
    if (late == 2) cuda_double::delay(run.communication.native(), std::chrono::microseconds(100));
    steps(run, 4);
    cuda_double::reset();
    CHECK(run.order == std::vector<int>{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2});
    CHECK(run.seen == 3 * (1 + 2 + 3 + 4));
  }
}

TEST_CASE("CudaStream: several micro-batches, each with its program") {
  FakeRun<2> run;
  steps(run, 2);
  CHECK(run.order == std::vector<int>{0, 0, 1, 2, 0, 0, 1, 2});
  CHECK(run.seen == (1 + 1 + 1 + 1) + (2 + 2 + 2 + 2));
}

TEST_CASE("CudaStream: the host never waits") {
  FakeRun<1> run;
  CudaStream<FakePlan<1>, FakeRun<1>> stream(run, run.device(run.compute),
                                             run.device(run.communication));
  const int before = cuda_double::calls("cudaStreamSynchronize");
  stream.begin<MicroBatch::only>();
  for (int marker = 0; marker < FakePlan<1>::markers::count; ++marker) stream.reached(marker);
  stream.finish();
  CHECK(cuda_double::calls("cudaStreamSynchronize") == before);
  run.compute.synchronize();
}

TEST_CASE("CudaStream: outside() is ordered with compute on both sides") {
  FakeRun<1> run;
  CudaStream<FakePlan<1>, FakeRun<1>> stream(run, run.device(run.compute),
                                             run.device(run.communication));
  run.write(0, 5);
  stream.outside([&] { run.run_op({OpKind::all_gather, 0, 0, 1, DType::f32}); });
  run.read(0);
  run.compute.synchronize();
  CHECK(run.seen == 5);
}

}  // namespace
