// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_replays_test.cpp: a wait for a replay is one for its collectives, and for those whom they need.
#include <cohort/comm/nccl_replays.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "support/allocations.hpp"
#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<detail::NcclReplays> &&
              !std::is_move_constructible_v<detail::NcclReplays>);
static_assert(detail::ends_together({CollectiveKind::all_reduce, DType::f32, 1, 0}));
static_assert(detail::ends_together({CollectiveKind::all_gather, DType::f32, 1, 0}));
static_assert(detail::ends_together({CollectiveKind::barrier, DType::u8, 0, 0}));
static_assert(!detail::ends_together({CollectiveKind::reduce_scatter, DType::f32, 0, 0}));
static_assert(!detail::ends_together({CollectiveKind::broadcast, DType::f32, 1, 0}));
static_assert(!detail::ends_together({CollectiveKind::all_to_all, DType::f32, 1, 0}));

namespace {

/// A stream, the world's communicator on it, and a graph of what is queued there.
struct Rank {
  explicit Rank(Nccl& world) : comm(world.on(stream.native())), replays(comm.replays()) {}
  ~Rank() { forget(); }
  template <class F> void capture(F queue) {
    forget();
    cuda::check(cudaStreamBeginCapture(stream.native(), cudaStreamCaptureModeThreadLocal));
    {
      const auto into_graph = replays.capture();
      queue();
    }
    cudaGraph_t made = nullptr;
    cuda::check(cudaStreamEndCapture(stream.native(), &made));
    cuda::check(cudaGraphInstantiate(&graph, made, 0));
    cuda::check(cudaGraphDestroy(made));
  }
  void launch() {
    cuda::check(cudaGraphLaunch(graph, stream.native()));
    replays.launched(stream.native());
  }
  void forget() {
    if (graph != nullptr) cudaGraphExecDestroy(std::exchange(graph, nullptr));
  }

  cuda::Stream stream;
  NcclStream comm;
  detail::NcclReplays replays;
  cudaGraphExec_t graph = nullptr;
  std::shared_ptr<void> before_abort = comm.before_abort([this] { forget(); });
};

TEST_CASE("NcclReplays: what a graph holds, on every communicator, one by one and in groups") {
  const Machine machine;
  Wrong wrong;
  on_gpus(4, [&](Nccl& world) {
    Rank self(world);
    const int low = world.rank() / 2 * 2;
    NcclStream pair = self.comm.split(low, world.rank());
    GpuArray<float> a(64), b(64);
    self.comm.all_reduce(a.data(), 64);  // is not of the graph
    self.capture([&] {
      pair.all_reduce(a.data(), 64);
      self.comm.broadcast(b.data(), 64, 2);
      NcclGroup group(pair);
      pair.all_reduce(group, a.data(), 32);
      pair.all_reduce(group, b.data(), 32);
      group.end();
    });
    wrong.unless(self.replays.num_collectives() == 4);
    wrong.unless(self.replays.members() == std::vector{0, 1, 2, 3});
    for (int r = 0; r < 4; ++r)  // a broadcast needs nobody
      wrong.unless(self.replays.needs(r) == (r == low || r == low + 1));
    self.launch();
    self.comm.all_reduce(a.data(), 64);  // nor this
    self.comm.synchronize();
    wrong.unless(self.replays.num_collectives() == 4 && self.replays.num_launched() == 1);
    self.capture([&] { cudaMemsetAsync(a.data(), 0, 64, self.stream.native()); });
    wrong.unless(self.replays.num_collectives() == 0 && self.replays.members().empty());
    self.launch();
    wrong.unless(self.replays.num_launched() == 1 && !self.replays.needs(low));
    self.comm.synchronize();
  });
  CHECK(wrong.ranks == 0);
}

TEST_CASE("NcclReplays: the oldest that is not done, by its number, however many there were") {
  const Machine machine;
  cuda::Stream stream;
  detail::NcclQueue queue;
  std::atomic<std::uint64_t> open{0};
  {
    detail::NcclReplays replays(queue);
    {
      const auto into_graph = replays.capture();
      CHECK(queue.capturing == &replays);
      replays.add({CollectiveKind::barrier}, {0});
    }
    CHECK(queue.capturing == nullptr);
    CHECK(queue.graphs == std::vector<const detail::NcclReplays*>{&replays});
    CHECK_FALSE(replays.oldest_pending());
    for (std::uint64_t number = 1; number <= 40; ++number) {
      cuda::check(cuda_double::enqueue(stream.native(), [&open, number] {
        while (open.load() < number) std::this_thread::sleep_for(50us);
      }));
      replays.launched(stream.native());
      if (number > 5) open = number - 5;
    }
    while (replays.oldest_pending()->number < 36) std::this_thread::yield();
    CHECK(replays.oldest_pending()->number == 36);
    {
      const auto into_graph = replays.capture();  // of another; those under way have what they had
      CHECK(replays.num_collectives() == 1);
      CHECK(replays.oldest_pending()->number == 36);
      replays.add({CollectiveKind::barrier}, {0});
    }
    open = 40;
    stream.synchronize();
    CHECK_FALSE(replays.oldest_pending());
    CHECK(queue.queued == 40);
  }
  CHECK(queue.graphs.empty());
}

TEST_CASE("NcclReplays: a launch allocates what the double of CUDA does for an event record") {
  if (!Allocations::available) return;
  const Machine machine;
  cuda::Stream stream;
  detail::NcclQueue queue;
  detail::NcclReplays replays(queue);
  {
    const auto into_graph = replays.capture();
    replays.add({CollectiveKind::barrier}, {0});
  }
  std::array<cuda::Event, detail::NcclLog::capacity> events;
  const auto allocations_of = [&](auto record) {
    for (std::size_t i = 0; i < events.size(); ++i) record(i);
    stream.synchronize();
    Allocations allocations;
    for (std::size_t i = 0; i < events.size(); ++i) record(i);
    stream.synchronize();
    allocations.stop();
    return allocations.this_thread().count;
  };
  const auto bare = allocations_of([&](std::size_t i) {
    if (!cuda::captures(stream.native())) events[i].record(stream.native());
  });
  const auto replayed = allocations_of([&](std::size_t) { replays.launched(stream.native()); });
  CHECK(bare > 0);
  CHECK(replayed == bare);
}

TEST_CASE("replays: one that a rank does not join is a Timeout with what it holds") {
  const Machine machine;
  for (const bool processes : {false, true}) {
    Outcome seen;
    std::atomic<bool> failed{false};
    const auto body = [&](Nccl& world) {
      Rank self(world);
      GpuArray<float> array(64);
      self.capture([&] { self.comm.all_reduce(array.data(), 64); });
      for (int k = 0; k < 3; ++k) self.launch();
      self.comm.synchronize();
      while (world.rank() == 1 && !failed) std::this_thread::sleep_for(5ms);
      if (world.rank() == 1) return self.comm.synchronize();
      for (int k = 0; k < 2; ++k) self.launch();
      self.comm.barrier();  // behind the replays
      try {
        self.comm.synchronize();
      } catch (...) {
        failed = true;
        throw;
      }
    };
    processes ? as_processes(seen, 2, body, 5s) : observe(seen, 2, body, 5s);
    CAPTURE(seen.rethrown);
    CAPTURE(seen.texts[0]);
    CHECK(seen.kinds == std::vector<char>{'t', processes ? '-' : 't'});
    CHECK(contains(seen.texts[0],
                   "replay #4 of a captured step, 1 collective, of ranks 0, 1 (5 were queued) was "
                   "not done within 5000 ms: a rank is late, gone, or made another call"));
  }
}

TEST_CASE("replays: a rank that returned is missed in what needs it, and nowhere else") {
  const Machine machine;
  for (const bool needed : {true, false}) {
    Outcome seen;
    observe(
        seen, 2,
        [&](Nccl& world) {
          Rank self(world);
          GpuArray<float> array(64);
          self.capture([&] {
            self.comm.broadcast(array.data(), 64, 1);
            if (needed) self.comm.all_reduce(array.data(), 64);
          });
          self.launch();
          self.comm.synchronize();
          seen.mark();
          if (world.rank() == 1) return;
          self.launch();
          self.comm.synchronize();
        },
        needed ? 60s : 5000ms);
    CAPTURE(needed);
    CAPTURE(seen.rethrown);
    CAPTURE(seen.texts[0]);
    CHECK(seen.kinds == std::vector<char>{needed ? 'p' : 't', '-'});
    CHECK(contains(seen.texts[0], needed ? "rank 1 left the world while rank 0 waits in replay #2"
                                         : "replay #2 of a captured step, 1 collective, of ranks"));
    CHECK((!needed || seen.ms[0] < 10000));
  }
}

TEST_CASE("replays: a rank may return as soon as it has done its own; others have work behind") {
  const Machine machine;
  for (int trial = 0; trial < 6; ++trial) {
    Outcome seen;
    observe(seen, 3, [&](Nccl& world) {
      Rank self(world);
      GpuArray<float> array(64);
      const bool last = world.rank() == trial % 3;
      self.capture([&] {
        self.comm.all_reduce(array.data(), 64);
        if (last)
          cuda::check(cuda_double::enqueue(self.stream.native(),
                                           [] { std::this_thread::sleep_for(200ms); }));
      });
      for (int k = 0; k < 2; ++k) self.launch();
      self.comm.synchronize();
    });
    CAPTURE(seen.rethrown);
    CHECK(seen.kinds == std::vector<char>(3, '-'));
  }
}

}  // namespace
