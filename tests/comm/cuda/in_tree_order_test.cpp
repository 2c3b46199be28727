// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/cuda/in_tree_order_test.cpp: over NCCL, whose double adds in another order, sums have the bits of Threads.
#include <cohort/comm/cuda/in_tree_order.hpp>

#include <doctest/doctest.h>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

using Ordered = InTreeOrder<NcclStream>;
static_assert(Communicator<Ordered> && SumsInTreeOrder<Ordered> && !SumsInTreeOrder<NcclStream>);
static_assert(ExchangesSlices<NcclStream> && !ExchangesSlices<Ordered>);

namespace {

constexpr std::size_t room = std::size_t{1} << 21;

/// A stream, and the world's communicator on it, with order.
struct Rank {
  explicit Rank(Nccl& world, std::size_t bytes = room)
      : comm(world.on(stream.native()), Cuda{.stream = stream.native()}, bytes) {}
  cuda::Stream stream;
  Ordered comm;
  cudaStream_t native() const { return stream.native(); }
};

/// What Threads have: the tree over these ranks' values.
template <class T>
std::vector<T> tree_sum(const std::vector<int>& ranks, std::size_t first, std::size_t count) {
  std::vector<std::vector<T>> inputs;
  for (int r : ranks) inputs.push_back(values<T>(r, first + count));
  std::vector<T> sum(count);
  detail::sum_into(
      [&](int k) {
        return static_cast<const T*>(inputs[static_cast<std::size_t>(k)].data()) + first;
      },
      static_cast<int>(ranks.size()), count, sum.data());
  return sum;
}

TEST_CASE_TEMPLATE("all_reduce: the tree's bits on every rank, whole arrays and slices", T, float,
                   double, bf16, fp16) {
  const Machine machine;
  std::size_t other_bits = 0;
  for (int ranks : few_kernels ? std::vector{3} : std::vector{1, 2, 3, 5, 8}) {
    nccl_double::set_polls(ranks % 3);
    // The last two are cut into slices, of which the last does not fill; and which fill the array.
    const auto n = static_cast<std::size_t>(ranks);
    const std::size_t sliced = whole_exchange_bytes / n / sizeof(T) + 37,
                      whole = n * (whole_exchange_bytes / n / n / sizeof(T) / 8 + 1) * 8;
    for (std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{333}, sliced, whole}) {
      Wrong wrong;
      const auto expected = tree_sum<T>(first_gpus(ranks), 0, count);
      on_gpus(ranks, [&](Nccl& world) {
        Rank self(world);
        const auto mine = values<T>(world.rank(), count);
        const GpuArray<T> array(mine, self.native()), plain(mine, self.native());
        self.comm.all_reduce(array.data(), count);
        self.comm.wrapped().all_reduce(plain.data(), count);
        wrong.unless(same_bits(array.get(self.comm, self.native()), expected));
        const bool other = !same_bits(plain.get(self.comm, self.native()), expected);
        if (world.rank() == 0) other_bits += other;
      });
      CAPTURE(ranks);
      CAPTURE(count);
      CHECK(wrong.ranks == 0);
    }
  }
  // NCCL's own order is another, or this test would show nothing; sums of these values are exact in fp64.
  CHECK((other_bits > 0) == !std::same_as<T, double>);
}

TEST_CASE_TEMPLATE("reduce_scatter: rank r's slice of the tree's sum, apart and in place", T, float,
                   double, bf16, fp16) {
  const Machine machine;
  for (int ranks : few_kernels ? std::vector{3} : std::vector{1, 2, 3, 8}) {
    for (std::size_t per : {0, 1, 77, 2048}) {
      Wrong wrong;
      on_gpus(ranks, [&](Nccl& world) {
        Rank self(world);
        const std::size_t all = per * static_cast<std::size_t>(ranks),
                          first = per * static_cast<std::size_t>(world.rank());
        const auto mine = values<T>(world.rank(), all);
        const auto expected = tree_sum<T>(first_gpus(ranks), first, per);
        const GpuArray<T> in(mine, self.native()), out(per);
        self.comm.reduce_scatter(static_cast<const T*>(in.data()), out.data(), per);
        wrong.unless(same_bits(out.get(self.comm, self.native()), expected));
        wrong.unless(same_bits(in.get(self.comm, self.native()), mine));
        self.comm.reduce_scatter(static_cast<const T*>(in.data()), in.data() + first, per);
        const auto after = in.get(self.comm, self.native());
        for (std::size_t i = 0; i < all; ++i) {
          const bool own = i >= first && i < first + per;
          const T& right = own ? expected[i - first] : mine[i];
          wrong.unless(std::memcmp(&after[i], &right, sizeof(T)) == 0);
        }
      });
      CAPTURE(ranks);
      CAPTURE(per);
      CHECK(wrong.ranks == 0);
    }
  }
}

TEST_CASE(
    "calls: slices go to their ranks in one group of registered memory; integers are NCCL's") {
  const Machine machine;
  std::vector<nccl_double::Call> seen, expected;
  on_gpus(3, [&](Nccl& world) {
    Rank self(world);
    NcclMemory memory(3 * 16384 * sizeof(float));
    memory.share(self.comm.wrapped());
    const GpuArray<std::int64_t> limbs(3);
    world.barrier();
    const std::size_t before = nccl_double::calls(3, 1).size();
    self.comm.all_reduce(memory.as<float>(), 30001);  // slices of 10004, 10004, 9993
    self.comm.reduce_scatter(memory.as<bf16>(), memory.as<bf16>(), 4096);
    self.comm.all_reduce(limbs.data(), 3);
    self.comm.synchronize();
    if (world.rank() == 1) {
      const auto all = nccl_double::calls(3, 1);
      seen.assign(all.begin() + static_cast<std::ptrdiff_t>(before), all.end());
      const cudaStream_t s = self.native();
      expected = {{"ncclSend", 9993, ncclFloat32, ncclSum, 2, 1, 3, s, true, true},
                  {"ncclRecv", 10004, ncclFloat32, ncclSum, 0, 1, 3, s, true, true},
                  {"ncclSend", 10004, ncclFloat32, ncclSum, 0, 1, 3, s, true, true},
                  {"ncclRecv", 10004, ncclFloat32, ncclSum, 2, 1, 3, s, true, true},
                  {"ncclAllGather", 10004, ncclFloat32, ncclSum, 0, 1, 3, s, false, true},
                  {"ncclSend", 4096, ncclBfloat16, ncclSum, 2, 1, 3, s, true, true},
                  {"ncclRecv", 4096, ncclBfloat16, ncclSum, 0, 1, 3, s, true, true},
                  {"ncclSend", 4096, ncclBfloat16, ncclSum, 0, 1, 3, s, true, true},
                  {"ncclRecv", 4096, ncclBfloat16, ncclSum, 2, 1, 3, s, true, true},
                  {"ncclAllReduce", 3, ncclInt64, ncclSum, 0, 1, 3, s, false, false}};
    }
    world.barrier();
  });
  CHECK(seen == expected);
}

TEST_CASE("split: groups have an order of their own ranks, and share the memory") {
  const Machine machine;
  Wrong wrong;
  on_gpus(6, [&](Nccl& world) {
    Rank self(world);
    Ordered group = self.comm.split(world.rank() % 2, -world.rank());  // reverse order
    Ordered again = group.duplicate();
    const std::vector<int> members =
        world.rank() % 2 == 0 ? std::vector{4, 2, 0} : std::vector{5, 3, 1};
    const auto mine = values<float>(world.rank(), 40000);
    const auto expected = tree_sum<float>(members, 0, 40000);
    const GpuArray<float> a(mine, self.native()), b(mine, self.native());
    group.all_reduce(a.data(), 40000);
    again.all_reduce(b.data(), 40000);
    wrong.unless(same_bits(a.get(group, self.native()), expected));
    wrong.unless(same_bits(b.get(again, self.native()), expected));
  });
  CHECK(wrong.ranks == 0);
}

TEST_CASE(
    "streams: sums wait for what was queued before them, and shared memory for its last user") {
  const Machine machine;
  Wrong wrong;
  on_gpus(3, [&](Nccl& world) {
    Rank self(world);
    if (world.rank() == 1) cuda_double::delay(self.native(), 300us);
    const auto mine = values<float>(world.rank(), 30000);
    const auto expected = tree_sum<float>(first_gpus(3), 0, 30000);
    std::vector<std::vector<float>> outputs(6, std::vector<float>(30000));
    GpuArray<float> array(30000);
    for (auto& out : outputs) {  // the host never waits in between
      array.put(mine, self.native());
      self.comm.all_reduce(array.data(), 30000);
      cuda::check(
          cudaMemcpyAsync(out.data(), array.data(), 120000, cudaMemcpyDeviceToHost, self.native()));
    }
    self.comm.synchronize();
    for (const auto& out : outputs) wrong.unless(same_bits(out, expected));
  });
  CHECK(wrong.ranks == 0);
}

// ---------------------------------------------------------------- failures

TEST_CASE("errors: arrays that the memory does not hold, by name and with both sizes") {
  const Machine machine;
  Outcome seen;
  observe(seen, 2, [](Nccl& world) {
    Rank self(world, 1024);
    const GpuArray<float> array(100000);
    self.comm.all_reduce(array.data(), 100000);
  });
  CHECK(contains(seen.rethrown, "take 400000 bytes here, and were given 1024"));
  CHECK(seen.kinds != std::vector<char>{'-', '-'});
}

TEST_CASE("failures: NCCL's errors in a group of sends reach every rank") {
  for (const char* function : {"ncclSend", "ncclRecv", "ncclGroupEnd", "ncclAllGather"}) {
    const Machine machine;
    Outcome seen;
    observe(seen, 3, [&](Nccl& world) {
      Rank self(world);
      const GpuArray<float> array(30000);
      world.barrier();
      if (world.rank() == 1) nccl_double::fail(function, ncclSystemError);
      for (int i = 0; i < 3; ++i) self.comm.all_reduce(array.data(), 30000);
      self.comm.synchronize();
    });
    CAPTURE(function);
    CHECK(contains(seen.rethrown, "unhandled system error"));
    for (const char kind : seen.kinds) CHECK((kind == 'e' || kind == 'p'));
  }
}

TEST_CASE("failures: a rank that hangs in an exchange ends all at the timeout, with its name") {
  const Machine machine;
  Outcome seen;
  nccl_double::hang(3, 2, 2);  // behind the barrier
  as_processes(
      seen, 3,
      [&](Nccl& world) {
        Rank self(world);
        const GpuArray<float> array(30000);
        world.barrier();
        self.comm.all_reduce(array.data(), 30000);
        self.comm.synchronize();
      },
      400ms);
  for (int r : {0, 1}) {
    CHECK(seen.kinds[static_cast<std::size_t>(r)] == 't');
    CHECK(contains(seen.texts[static_cast<std::size_t>(r)], "all_to_all"));
  }
}

}  // namespace
