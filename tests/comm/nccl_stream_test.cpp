// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_stream_test.cpp: NCCL is asked for the right thing, and no wait is without an end.
#include <cohort/comm/nccl_stream.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <thread>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

static_assert(Communicator<NcclStream>);
static_assert(!std::is_copy_constructible_v<NcclStream>);
static_assert(!std::is_copy_constructible_v<NcclGroup> && !std::is_move_constructible_v<NcclGroup>);
static_assert(!HasAllReduce<NcclStream, std::uint8_t>);  // no sums of bytes

namespace {

constexpr int worlds[] = {1, 2, 3, 4, 5, 8};

/// A stream of its own, and the world's communicator on it.
struct Rank {
  explicit Rank(Nccl& world) : comm(world.on(stream.native())) {}
  cuda::Stream stream;
  NcclStream comm;
  cudaStream_t native() const { return stream.native(); }
};

// ---------------------------------------------------------------- data

TEST_CASE_TEMPLATE("all_reduce: every rank holds the same bits, those of a sum over ranks", T,
                   float, double, bf16, fp16, std::int32_t, std::int64_t) {
  const Machine machine;
  for (int ranks : worlds) {
    nccl_double::set_polls(ranks % 3);
    std::vector<std::vector<T>> of_rank(static_cast<std::size_t>(ranks));
    for (std::size_t count : {0, 1, 15, 1000, 4099}) {
      on_gpus(ranks, [&](Nccl& world) {
        Rank self(world);
        const auto mine = values<T>(world.rank(), count);
        GpuArray<T> array(mine, self.native());
        self.comm.all_reduce(array.data(), count);
        of_rank[static_cast<std::size_t>(world.rank())] = array.get(self.comm, self.native());
      });
      CAPTURE(ranks);
      CAPTURE(count);
      int wrong = 0;
      for (std::size_t i = 0; i < count; ++i) wrong += !is_sum(of_rank[0][i], first_gpus(ranks), i);
      CHECK(wrong == 0);
      for (const auto& other : of_rank) CHECK(same_bits(other, of_rank[0]));
    }
  }
}

TEST_CASE_TEMPLATE("reduce_scatter: rank r holds the r-th part of the sum, also in place", T, float,
                   double, bf16, fp16, std::int32_t, std::int64_t) {
  const Machine machine;
  for (int ranks : worlds) {
    for (std::size_t count : {0, 1, 77, 1500}) {
      Wrong wrong;
      on_gpus(ranks, [&](Nccl& world) {
        Rank self(world);
        const std::size_t all = count * static_cast<std::size_t>(ranks);
        const std::size_t first = count * static_cast<std::size_t>(world.rank());
        const auto mine = values<T>(world.rank(), all);
        GpuArray<T> in(mine, self.native()), out(count);
        self.comm.reduce_scatter(in.data(), out.data(), count);
        const auto apart = out.get(self.comm, self.native());
        wrong.unless(same_bits(in.get(self.comm, self.native()), mine));
        self.comm.reduce_scatter(in.data(), in.data() + first, count);
        const auto in_place = in.get(self.comm, self.native());
        for (std::size_t i = 0; i < count; ++i) {
          wrong.unless(is_sum(apart[i], first_gpus(ranks), first + i));
          wrong.unless(std::memcmp(&apart[i], &in_place[first + i], sizeof(T)) == 0);
        }
      });
      CAPTURE(ranks);
      CAPTURE(count);
      CHECK(wrong.ranks == 0);
    }
  }
}

TEST_CASE_TEMPLATE("all_gather: all parts in rank order, also in place", T, float, double, bf16,
                   std::int32_t, std::int64_t, std::uint8_t) {
  const Machine machine;
  for (int ranks : worlds) {
    for (std::size_t count : {0, 1, 100, 6000}) {
      Wrong wrong;
      on_gpus(ranks, [&](Nccl& world) {
        Rank self(world);
        const auto mine = values<T>(world.rank(), count);
        std::vector<T> expected;
        for (int r = 0; r < ranks; ++r) {
          const auto part = values<T>(r, count);
          expected.insert(expected.end(), part.begin(), part.end());
        }
        const std::size_t first = count * static_cast<std::size_t>(world.rank());
        GpuArray<T> in(mine, self.native()), apart(expected.size()), in_place(expected.size());
        in_place.put(mine, self.native(), first);
        self.comm.all_gather(static_cast<const T*>(in.data()), apart.data(), count);
        self.comm.all_gather(static_cast<const T*>(in_place.data() + first), in_place.data(),
                             count);
        wrong.unless(same_bits(apart.get(self.comm, self.native()), expected));
        wrong.unless(same_bits(in_place.get(self.comm, self.native()), expected));
      });
      CAPTURE(ranks);
      CAPTURE(count);
      CHECK(wrong.ranks == 0);
    }
  }
}

TEST_CASE_TEMPLATE("broadcast: every rank holds the root's array, for every root", T, float, double,
                   fp16, std::int32_t, std::int64_t, std::uint8_t) {
  const Machine machine;
  for (int ranks : {1, 2, 3, 8}) {
    Wrong wrong;
    on_gpus(ranks, [&](Nccl& world) {
      Rank self(world);
      for (int root = 0; root < ranks; ++root) {
        for (std::size_t count : {0, 1, 9000}) {
          const auto mine = values<T>(world.rank(), count);
          GpuArray<T> array(mine, self.native());
          self.comm.broadcast(array.data(), count, root);
          wrong.unless(same_bits(array.get(self.comm, self.native()), values<T>(root, count)));
        }
      }
    });
    CAPTURE(ranks);
    CHECK(wrong.ranks == 0);
  }
}

TEST_CASE("calls: the function, count, type, root and stream that were named; sums are ncclSum") {
  const Machine machine;
  std::vector<nccl_double::Call> expected;
  on_gpus(2, [&](Nccl& world) {
    Rank self(world);
    GpuArray<float> a(64);
    GpuArray<bf16> b(64);
    self.comm.all_reduce(a.data(), 64);
    self.comm.reduce_scatter(b.data(), b.data() + 32 * world.rank(), 32);
    self.comm.all_gather(static_cast<const bf16*>(b.data()) + 32 * world.rank(), b.data(), 32);
    NcclGroup group(self.comm);
    self.comm.broadcast(group, a.data(), 7, 1);
    self.comm.all_reduce(group, a.data() + 32, 5);
    group.end();
    self.comm.synchronize();
    if (world.rank() != 1) return;
    const cudaStream_t s = self.native();
    expected = {{"ncclAllReduce", 64, ncclFloat32, ncclSum, 0, 1, 2, s, false},
                {"ncclReduceScatter", 32, ncclBfloat16, ncclSum, 0, 1, 2, s, false},
                {"ncclAllGather", 32, ncclBfloat16, ncclSum, 0, 1, 2, s, false},
                {"ncclBroadcast", 7, ncclFloat32, ncclSum, 1, 1, 2, s, true},
                {"ncclAllReduce", 5, ncclFloat32, ncclSum, 0, 1, 2, s, true}};
  });
  CHECK(nccl_double::calls(2, 1) == expected);
  CHECK(detail::nccl_type(DType::i64) == ncclInt64);
  CHECK(detail::nccl_type(DType::i32) == ncclInt32);
  CHECK(detail::nccl_type(DType::bf16) == ncclBfloat16);
  CHECK(detail::nccl_type(DType::f32) == ncclFloat32);
}

TEST_CASE("groups: as many collectives, on several streams and communicators, as one by one") {
  const Machine machine;
  for (int polls : {0, 1, 4}) {
    nccl_double::set_polls(polls);
    Wrong wrong;
    on_gpus(4, [&](Nccl& world) {
      Rank self(world);
      cuda::Stream other;
      NcclStream there = world.on(other.native());
      NcclStream pair = self.comm.split(world.rank() / 2, world.rank());
      const auto mine = values<float>(world.rank(), 300);
      GpuArray<float> a(mine, self.native()), b(mine, other.native()), c(mine, self.native());
      NcclGroup group(self.comm);
      self.comm.all_reduce(group, a.data(), 300);
      there.all_reduce(group, b.data(), 300);
      pair.all_reduce(group, c.data(), 300);
      group.end();
      const auto all = a.get(self.comm, self.native()), also = b.get(there, other.native());
      const auto two = c.get(pair, self.native());
      const int low = world.rank() / 2 * 2;
      wrong.unless(same_bits(all, also));
      for (std::size_t i = 0; i < 300; ++i) {
        wrong.unless(is_sum(all[i], first_gpus(4), i));
        wrong.unless(is_sum(two[i], {low, low + 1}, i));
      }
    });
    CHECK(wrong.ranks == 0);
  }
}

TEST_CASE("groups: one that is destroyed without end() leaves its communicators ready") {
  const Machine machine;
  for (int polls : {0, 1, 7}) {
    nccl_double::set_polls(polls);
    Wrong wrong;
    on_gpus(2, [&](Nccl& world) {
      Rank self(world);
      NcclStream pair = self.comm.duplicate();
      const auto mine = values<float>(world.rank(), 300);
      GpuArray<float> a(mine, self.native()), b(mine, self.native());
      {
        NcclGroup group(self.comm);
        self.comm.all_reduce(group, a.data(), 300);
        pair.all_reduce(group, b.data(), 300);
      }
      self.comm.barrier();
      pair.barrier();
      wrong.unless(is_sum(a.get(self.comm, self.native())[299], {0, 1}, 299));
      wrong.unless(is_sum(b.get(pair, self.native())[299], {0, 1}, 299));
    });
    CHECK(wrong.ranks == 0);
    CHECK(cuda_double::take_failure() == "");
  }
}

TEST_CASE("groups: what goes wrong in one without end() is told by the next call") {
  const Machine machine;
  Outcome seen;
  observe(seen, 2, [&](Nccl& world) {
    Rank self(world);
    GpuArray<float> array(64);
    {
      NcclGroup group(self.comm);
      self.comm.all_reduce(group, array.data(), 64);
      if (world.rank() == 1) nccl_double::fail("ncclGroupEnd", ncclInternalError);
    }
    self.comm.all_reduce(array.data(), 64);
    self.comm.synchronize();
  });
  CHECK(contains(seen.rethrown, "internal error"));
  CHECK(seen.kinds == std::vector<char>{'p', 'p'});
}

TEST_CASE("barrier: what follows on a stream begins when every rank's stream has come so far") {
  const Machine machine;
  for (int ranks : {2, 8}) {
    std::atomic<int> arrived{0};
    Wrong wrong;
    on_gpus(ranks, [&](Nccl& world) {
      Rank self(world);
      for (int k = 1; k <= 20; ++k) {
        cuda::check(cuda_double::enqueue(self.native(), [&] { ++arrived; }));
        self.comm.barrier();
        cuda::check(cuda_double::enqueue(self.native(),
                                         [&, k] { wrong.unless(arrived.load() >= k * ranks); }));
        self.comm.barrier();
      }
      self.comm.synchronize();
    });
    CHECK(wrong.ranks == 0);
  }
}

TEST_CASE(
    "streams: work before and after a collective is ordered by its stream alone, delays or not") {
  const Machine machine;
  Wrong wrong;
  on_gpus(3, [&](Nccl& world) {
    Rank self(world);
    if (world.rank() == 1) cuda_double::delay(self.native(), 500us);
    std::vector<std::vector<float>> inputs;
    for (int k = 0; k < 10; ++k)
      inputs.push_back(std::vector<float>(100, static_cast<float>(k + world.rank())));
    GpuArray<float> array(100);
    std::vector<std::vector<float>> outputs(10, std::vector<float>(100));
    for (std::size_t k = 0; k < 10; ++k) {  // the host never waits in between
      array.put(inputs[k], self.native());
      self.comm.all_reduce(array.data(), 100);
      cuda::check(cudaMemcpyAsync(outputs[k].data(), array.data(), 400, cudaMemcpyDeviceToHost,
                                  self.native()));
    }
    self.comm.synchronize();
    wrong.unless(cudaGetLastError() == cudaSuccess);  // a later launch would be blamed for it
    for (std::size_t k = 0; k < 10; ++k)
      wrong.unless(outputs[k][99] == static_cast<float>(3 * k + 3));
  });
  CHECK(wrong.ranks == 0);
}

TEST_CASE(
    "on: one communicator on several streams runs its collectives in the order of the calls") {
  const Machine machine;
  Wrong wrong;
  on_gpus(3, [&](Nccl& world) {
    Rank self(world), other(world);
    const auto mine = values<double>(world.rank(), 50);
    GpuArray<double> a(mine, self.native()), b(mine, other.native());
    for (int k = 0; k < 20; ++k) {
      self.comm.all_reduce(a.data(), 1);
      other.comm.all_reduce(b.data(), 1);
      double host = 1;
      world.all_reduce(&host, 1);  // and the host's own
      wrong.unless(host == 3);
    }
    const auto x = a.get(self.comm, self.native()), y = b.get(other.comm, other.native());
    wrong.unless(same_bits(x, y));
  });
  CHECK(wrong.ranks == 0);
  int communicators = nccl_double::destroyed();
  CHECK(communicators == 3);  // one per rank
}

// ---------------------------------------------------------------- groups of ranks

TEST_CASE(
    "split: one group per color, ordered by key, then by rank; groups of groups outlive their "
    "parents") {
  const Machine machine;
  Wrong wrong;
  on_gpus(7, [&](Nccl& world) {
    Rank self(world);
    NcclStream group = self.comm.split(world.rank() % 2, -world.rank());  // reverse order
    const std::vector<int> members =
        world.rank() % 2 == 0 ? std::vector{6, 4, 2, 0} : std::vector{5, 3, 1};
    wrong.unless(group.size() == static_cast<int>(members.size()) &&
                 group.stream() == self.native());
    wrong.unless(members[static_cast<std::size_t>(group.rank())] == world.rank());
    const auto mine = values<float>(world.rank(), 300);
    GpuArray<float> array(mine, self.native());
    group.all_reduce(array.data(), 300);
    const auto sum = array.get(group, self.native());
    for (std::size_t i = 0; i < 300; ++i) wrong.unless(is_sum(sum[i], members, i));
    NcclStream inner = [&] {
      NcclStream equal_keys = self.comm.split(0, 0);
      wrong.unless(equal_keys.rank() == world.rank() && equal_keys.size() == 7);
      return equal_keys.duplicate();
    }();
    const std::vector<std::int32_t> ones{1};
    GpuArray<std::int32_t> one(ones, self.native());
    inner.all_reduce(one.data(), 1);
    wrong.unless(one.get(inner, self.native())[0] == 7);
    NcclStream alone = group.split(group.rank(), 0);
    wrong.unless(alone.size() == 1 && alone.rank() == 0);
  });
  CHECK(wrong.ranks == 0);
  CHECK(nccl_double::aborted() == 0);
  CHECK(nccl_double::destroyed() == 7 * 5);
}

TEST_CASE("split: a negative color is refused by name; so is a root that is no rank") {
  const Machine machine;
  Outcome seen;
  observe(seen, 2, [](Nccl& world) {
    Rank self(world);
    CHECK_THROWS_AS(self.comm.broadcast(static_cast<float*>(nullptr), 1, 2), InvalidInput);
    self.comm.split(-1, 0);
  });
  CHECK(contains(seen.rethrown, "colors begin at 0; -1 is none"));
}

// ---------------------------------------------------------------- failures

/// A step of all kinds of calls, in which here(p) may throw at point p.
template <class Here>
void step(Nccl& world, Rank& self, NcclStream& pair, GpuArray<float>& array, Here here) {
  here(0);
  self.comm.all_reduce(array.data(), 500);
  here(1);
  self.comm.all_gather(static_cast<const float*>(array.data()), array.data(), 0);
  pair.all_reduce(array.data(), 100);
  here(2);
  self.comm.broadcast(array.data(), 500, world.size() - 1);
  here(3);
  self.comm.synchronize();
  here(4);
  double x = 1;
  world.all_reduce(&x, 1);
  here(5);
}

TEST_CASE(
    "a rank that throws at any point ends every rank of its process at once, with its words") {
  const Machine machine;
  for (int ranks : {2, 3, 8}) {
    for (int point = 0; point < 6; ++point) {
      const int thrower = point % ranks;
      Outcome seen;
      observe(seen, ranks, [&](Nccl& world) {
        Rank self(world);
        GpuArray<float> array(500);
        NcclStream pair = self.comm.split(world.rank() % 2, 0);
        for (int k = 0;; ++k) {
          step(world, self, pair, array, [&](int p) {
            if (world.rank() != thrower || k != 2 || p != point) return;
            seen.mark();
            throw Boom("boom 42");
          });
        }
      });
      CAPTURE(ranks);
      CAPTURE(point);
      CHECK(seen.rethrown == "boom 42");
      for (std::size_t r = 0; r < seen.kinds.size(); ++r) {
        const bool own = static_cast<int>(r) == thrower;
        CAPTURE(seen.texts[r]);
        CHECK(seen.kinds[r] == (own ? 'o' : 'p'));
        CHECK(seen.ms[r] < 2000);
        if (!own)
          CHECK(contains(seen.texts[r], detail::phrase("rank ", thrower, " failed: boom 42")));
      }
    }
  }
}

TEST_CASE(
    "a collective that hangs: every rank names it at the timeout, with its number and the ranks") {
  const Machine machine;
  for (bool processes : {false, true}) {
    nccl_double::hang(3, 1, 5);
    Outcome seen;
    const auto body = [&](Nccl& world) {
      Rank self(world);
      GpuArray<float> array(64);
      world.barrier();  // the first
      seen.mark();
      for (int k = 0; k < 7; ++k) self.comm.all_reduce(array.data(), 64);
      self.comm.synchronize();
    };
    processes ? as_processes(seen, 3, body, 300ms) : observe(seen, 3, body, 300ms);
    for (std::size_t r = 0; r < 3; ++r) {
      CAPTURE(seen.texts[r]);
      // Threads that share a fate hear of it from the first to see it, at most the timeout after.
      CHECK(seen.kinds[r] == 't');
      CHECK(contains(seen.texts[r],
                     "all_reduce #5, all_reduce(64 f32), of ranks 0, 1, 2 (8 were queued) "
                     "was not done within 300 ms"));
      CHECK(seen.ms[r] > 290);
      CHECK(seen.ms[r] < 3000);
    }
    CHECK(cuda_double::take_failure() == "");
    nccl_double::reset();
  }
}

TEST_CASE(
    "asynchronous errors: a lost connection is a peer's failure, all else an Error, in NCCL's "
    "words") {
  const Machine machine;
  for (const auto error : {ncclRemoteError, ncclInternalError, ncclUnhandledCudaError}) {
    nccl_double::break_async(2, 0, 2, error);
    nccl_double::set_peers_hear(true);
    Outcome seen;
    as_processes(seen, 2, [&](Nccl& world) {
      Rank self(world);
      GpuArray<float> array(64);
      for (;;) {
        self.comm.all_reduce(array.data(), 64);
        self.comm.synchronize();
      }
    });
    CAPTURE(seen.texts[0]);
    CAPTURE(seen.texts[1]);
    CHECK(seen.kinds[0] == (error == ncclRemoteError ? 'p' : 'e'));
    CHECK(seen.kinds[1] == 'p');  // hears that rank 0 aborted
    CHECK(contains(seen.texts[0], ncclGetErrorString(error)));
    CHECK(contains(seen.texts[0], "all_reduce #2"));
    CHECK(contains(seen.texts[1], "A peer's process ended or the network failed"));
    nccl_double::reset();
  }
}

TEST_CASE("errors that a call returns: InvalidInput for wrong use, else Error; the world ends") {
  const Machine machine;
  for (const char* function :
       {"ncclAllReduce", "ncclGroupEnd", "ncclCommSplit", "ncclCommGetAsyncError"}) {
    for (const auto error : {ncclInvalidUsage, ncclSystemError}) {
      Outcome seen;
      observe(seen, 2, [&](Nccl& world) {
        Rank self(world);
        GpuArray<float> array(64);
        world.barrier();
        if (world.rank() == 1) nccl_double::fail(function, error);
        for (;;) {
          self.comm.all_reduce(array.data(), 64);
          NcclGroup group(self.comm);
          self.comm.all_reduce(group, array.data(), 64);
          group.end();
          NcclStream pair = self.comm.duplicate();
        }
      });
      CAPTURE(function);
      CAPTURE(seen.rethrown);
      CHECK(contains(seen.rethrown, ncclGetErrorString(error)));
      const int invalid = (seen.kinds[0] == 'i') + (seen.kinds[1] == 'i');
      const int other = (seen.kinds[0] == 'e') + (seen.kinds[1] == 'e');
      CHECK((error == ncclInvalidUsage ? invalid : other) == 1);
    }
  }
}

TEST_CASE(
    "a rank that returns early is named by those whose collective needs it, long before the "
    "timeout") {
  const Machine machine;
  Outcome seen;
  observe(seen, 3, [&](Nccl& world) {
    Rank self(world);
    GpuArray<float> array(64);
    self.comm.all_reduce(array.data(), 64);
    self.comm.synchronize();
    seen.mark();
    if (world.rank() == 1) return;
    self.comm.all_reduce(array.data(), 64);
    self.comm.synchronize();
  });
  CHECK(seen.kinds[1] == '-');
  for (std::size_t r : {0, 2}) {
    CAPTURE(seen.texts[r]);
    CHECK(seen.kinds[r] == 'p');
    CHECK(contains(seen.texts[r], "rank 1 left the world while rank "));
    CHECK(contains(seen.texts[r], "all_reduce #2"));
    CHECK(seen.ms[r] < 5000);
  }
}

TEST_CASE("a rank may return as soon as it queued its last collective: it is done before it goes") {
  const Machine machine;
  for (int trial = 0; trial < 30; ++trial) {
    nccl_double::set_polls(trial % 3);
    Wrong wrong;
    on_gpus(3, [&](Nccl& world) {
      const std::vector<float> ones(64, 1.0f);
      cuda::Stream stream;
      GpuArray<float> array(ones, stream.native());
      NcclStream comm = world.on(stream.native());
      if (world.rank() == trial % 3) cuda_double::delay(stream.native(), 3ms);
      comm.all_reduce(array.data(), 64);
      if (world.rank() != trial % 3) return;  // the array is freed when the stream has passed
      wrong.unless(array.get(comm, stream.native())[63] == 3);
    });
    CHECK(wrong.ranks == 0);
  }
}

TEST_CASE("slow but within the limit never sets a timeout off") {
  const Machine machine;
  on_gpus(
      3,
      [&](Nccl& world) {
        Rank self(world);
        GpuArray<float> array(64);
        cuda_double::delay(self.native(), std::chrono::microseconds(400 * world.rank()));
        for (int k = 0; k < 50; ++k) {
          self.comm.all_reduce(array.data(), 64);
          self.comm.synchronize();
        }
      },
      2s);
}

TEST_CASE("abort: any thread may call it, on its own thread a rank's communicators end at once") {
  const Machine machine;
  for (int trial = 0; trial < 20; ++trial) {
    Outcome seen;
    observe(seen, 3, [&](Nccl& world) {
      Rank self(world);
      GpuArray<float> array(64);
      std::jthread other([&] {
        if (world.rank() != trial % 3) return;
        std::this_thread::sleep_for(std::chrono::microseconds(200 * trial));
        self.comm.abort(std::make_exception_ptr(Boom("stop")));
      });
      for (;;) {
        self.comm.all_reduce(array.data(), 64);
        self.comm.synchronize();
      }
    });
    CHECK(seen.rethrown == "stop");
    for (char kind : seen.kinds) CHECK(kind == 'p');
  }
  Outcome seen;
  observe(seen, 2, [&](Nccl& world) {
    Rank self(world);
    GpuArray<float> array(64);
    self.comm.all_reduce(array.data(), 64);
    if (world.rank() == 1) nccl_double::hang(2, 1, 3);
    world.barrier();
    self.comm.all_reduce(array.data(), 64);
    if (world.rank() == 1) {
      const int before = nccl_double::aborted();
      self.comm.abort(std::make_exception_ptr(Boom("now")));
      CHECK(nccl_double::aborted() > before);
    }
    self.comm.synchronize();
  });
  CHECK(seen.rethrown == "now");
  CHECK(seen.kinds == std::vector<char>{'p', 'p'});
}

TEST_CASE("abort: a communicator whose collective stands behind another's, in either order") {
  const Machine machine;
  for (const bool eldest_first : {true, false}) {
    for (const bool closing : {false, true}) {
      Outcome seen;
      as_processes(
          seen, 2,
          [&](Nccl& world) {
            Rank self(world);
            GpuArray<float> array(64);
            std::optional<NcclStream> pair(self.comm.duplicate());
            world.barrier();
            if (world.rank() == 1) throw Boom("gone");
            (eldest_first ? self.comm : *pair).all_reduce(array.data(), 64);
            (eldest_first ? *pair : self.comm).all_reduce(array.data(), 64);
            if (closing) pair.reset();
            self.comm.synchronize();
          },
          200ms);
      CAPTURE(eldest_first);
      CAPTURE(closing);
      CAPTURE(seen.texts[0]);
      CHECK((seen.kinds[0] == 't' || (closing && seen.kinds[0] == 'p')));
      CHECK(seen.kinds[1] == 'o');
      CHECK(nccl_double::live() == 0);
      CHECK(cuda_double::take_failure() == "");
    }
  }
}

TEST_CASE("abort: a group that is open ends before communicators do") {
  const Machine machine;
  Outcome seen;
  observe(seen, 2, [&](Nccl& world) {
    Rank self(world);
    GpuArray<float> array(64);
    NcclGroup group(self.comm);
    self.comm.all_reduce(group, array.data(), 64);
    if (world.rank() == 0) {
      self.comm.abort(std::make_exception_ptr(Boom("now")));
      CHECK(nccl_double::aborted() > 0);
    }
    group.end();
    self.comm.synchronize();
    self.comm.barrier();
  });
  CHECK(seen.rethrown == "now");
  CHECK(seen.kinds == std::vector<char>{'p', 'p'});
}

TEST_CASE("a failed world stays failed: catching the error does not revive it") {
  const Machine machine;
  Outcome seen;
  observe(seen, 2, [&](Nccl& world) {
    Rank self(world);
    GpuArray<float> array(64);
    if (world.rank() == 1) throw Boom("once");
    CHECK_THROWS_AS(
        for (;;) {
          self.comm.all_reduce(array.data(), 64);
          self.comm.synchronize();
        },
        PeerFailed);
    CHECK_THROWS_AS(self.comm.all_reduce(array.data(), 1), PeerFailed);
    CHECK_THROWS_AS(self.comm.duplicate(), PeerFailed);
    CHECK_THROWS_AS(
        {
          NcclGroup group(self.comm);
          self.comm.all_reduce(group, array.data(), 1);
        },
        PeerFailed);
  });
  CHECK(seen.rethrown == "once");
}

TEST_CASE(
    "a hundred worlds in a row, each with a fault of another kind or none: no hang, nothing left") {
  const Machine machine;
  int ended_well = 0;
  for (int trial = 0; trial < 100; ++trial) {
    const int ranks = 1 + trial % 4, kind = trial % 5;
    nccl_double::set_polls(trial % 4);
    nccl_double::set_peers_hear(trial % 2 == 0);
    if (kind == 1) nccl_double::hang(ranks, trial % ranks, 4);
    if (kind == 2) nccl_double::break_async(ranks, trial % ranks, 3, ncclInternalError);
    Outcome seen;
    observe(
        seen, ranks,
        [&](Nccl& world) {
          Rank self(world);
          GpuArray<float> array(500);
          NcclStream pair = self.comm.split(world.rank() % 2, 0);
          for (int k = 0; k < 3; ++k) {
            step(world, self, pair, array, [&](int p) {
              if (kind == 3 && world.rank() == trial % ranks && k == 1 && p == trial % 6)
                throw Boom("boom");
            });
          }
        },
        kind == 1 ? 60ms : 20000ms);
    CAPTURE(trial);
    CAPTURE(seen.rethrown);
    CHECK(seen.rethrown.empty() == (kind == 0 || kind == 4));
    ended_well += seen.rethrown.empty();
    nccl_double::reset();
  }
  CHECK(ended_well == 40);
}

}  // namespace
