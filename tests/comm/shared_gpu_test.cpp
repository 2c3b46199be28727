// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/shared_gpu_test.cpp: ranks that share a GPU get the bits of threads, and streams wait for peers.
#include <cohort/comm/shared_gpu.hpp>

#include <cohort/comm/axes.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <stdexcept>
#include <thread>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

static_assert(Communicator<SharedGpu>);
static_assert(!std::is_copy_constructible_v<SharedGpu>);

namespace {

const std::vector<int> worlds =
    few_kernels ? std::vector{2, 3} : std::vector{1, 2, 3, 4, 5, 7, 8, 9};
const std::vector<std::size_t> counts =
    few_kernels ? std::vector<std::size_t>{1000} : std::vector<std::size_t>{0, 1, 15, 1000, 4099};

/// One rank: a stream of its own and the GPU that all share.
struct Rank {
  explicit Rank(Threads& world) : comm(world, Cuda{.stream = stream.native()}) {}
  cuda::Stream stream;
  SharedGpu comm;
  cudaStream_t native() const { return stream.native(); }
};

template <class F> void run(const LaunchOptions& options, F f) {
  Threads::run(options, [&](Threads& world) {
    Rank self(world);
    f(world, self);
  });
}

/// Calls on_cpu(world) and on_gpu(world, self) on every rank: both must return the same bits.
template <class T, class Host, class Gpu> void same(int ranks, Host on_cpu, Gpu on_gpu) {
  Wrong wrong;
  run({.ranks = ranks}, [&](Threads& world, Rank& self) {
    const std::vector<T> expected = on_cpu(world), got = on_gpu(world, self);
    wrong.unless(same_bits(got, expected));
  });
  CAPTURE(ranks);
  CHECK(wrong.ranks == 0);
}

TEST_CASE_TEMPLATE(
    "all_reduce, reduce_scatter: the bits of Threads, also in place and off alignment", T, float,
    double, bf16, fp16, std::int32_t, std::int64_t) {
  const Machine machine;
  for (int ranks : worlds) {
    for (std::size_t count : counts) {
      for (std::size_t offset : {0, 1}) {
        const auto reduced = [&](Threads& world) {
          auto mine = values<T>(world.rank(), count);
          world.all_reduce(mine.data(), count);
          return mine;
        };
        same<T>(ranks, reduced, [&](Threads& world, Rank& self) {
          std::vector<T> mine(offset), theirs = values<T>(world.rank(), count);
          mine.insert(mine.end(), theirs.begin(), theirs.end());
          GpuArray<T> array(mine, self.native());
          self.comm.all_reduce(array.data() + offset, count);
          auto all = array.get(self.comm, self.native());
          all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(offset));
          return all;
        });
      }
      if (count > 1000) continue;
      const std::size_t all = count * static_cast<std::size_t>(ranks);
      const auto scattered = [&](Threads& world) {
        const auto mine = values<T>(world.rank(), all);
        std::vector<T> out(count);
        world.reduce_scatter(mine.data(), out.data(), count);
        return out;
      };
      same<T>(ranks, scattered, [&](Threads& world, Rank& self) {
        const auto mine = values<T>(world.rank(), all);
        GpuArray<T> in(mine, self.native()), out(count);
        self.comm.reduce_scatter(static_cast<const T*>(in.data()), out.data(), count);
        return out.get(self.comm, self.native());
      });
      same<T>(ranks, scattered, [&](Threads& world, Rank& self) {
        const auto mine = values<T>(world.rank(), all);
        GpuArray<T> in(mine, self.native());
        const std::size_t first = count * static_cast<std::size_t>(world.rank());
        self.comm.reduce_scatter(static_cast<const T*>(in.data()), in.data() + first, count);
        const auto here = in.get(self.comm, self.native());
        return std::vector<T>(here.begin() + static_cast<std::ptrdiff_t>(first),
                              here.begin() + static_cast<std::ptrdiff_t>(first + count));
      });
    }
  }
}

TEST_CASE_TEMPLATE("all_gather, broadcast: the bytes of Threads, also in place", T, double, bf16,
                   std::int32_t, std::uint8_t) {
  const Machine machine;
  for (int ranks : {1, 2, 3, 8}) {
    for (std::size_t count : {0, 1, 100, 6001}) {
      const auto gathered = [&](Threads& world) {
        const auto mine = values<T>(world.rank(), count);
        std::vector<T> out(count * static_cast<std::size_t>(ranks));
        world.all_gather(mine.data(), out.data(), count);
        return out;
      };
      same<T>(ranks, gathered, [&](Threads& world, Rank& self) {
        const auto mine = values<T>(world.rank(), count);
        GpuArray<T> in(mine, self.native()), out(count * static_cast<std::size_t>(ranks));
        self.comm.all_gather(static_cast<const T*>(in.data()), out.data(), count);
        return out.get(self.comm, self.native());
      });
      same<T>(ranks, gathered, [&](Threads& world, Rank& self) {
        const auto mine = values<T>(world.rank(), count);
        GpuArray<T> out(count * static_cast<std::size_t>(ranks));
        const std::size_t first = count * static_cast<std::size_t>(world.rank());
        out.put(mine, self.native(), first);
        self.comm.all_gather(static_cast<const T*>(out.data() + first), out.data(), count);
        return out.get(self.comm, self.native());
      });
      for (int root = 0; root < ranks; ++root) {
        same<T>(
            ranks, [&](Threads&) { return values<T>(root, count); },
            [&](Threads& world, Rank& self) {
              const auto mine = values<T>(world.rank(), count);
              GpuArray<T> array(mine, self.native());
              self.comm.broadcast(array.data(), count, root);
              return array.get(self.comm, self.native());
            });
      }
    }
  }
}

TEST_CASE(
    "streams: collectives are ordered by events alone; hosts do not wait for the GPU; delays "
    "change no bit") {
  const Machine machine;
  for (int late = -1; late < 3; ++late) {
    Wrong wrong;
    run({.ranks = 3}, [&](Threads& world, Rank& self) {
      if (world.rank() == late) cuda_double::delay(self.native(), 1ms);
      std::vector<std::vector<float>> inputs;
      for (int k = 0; k < 8; ++k)
        inputs.push_back(std::vector<float>(3000, static_cast<float>(k + world.rank())));
      GpuArray<float> array(3000), parts(1000), gathered(3000);
      std::vector<std::vector<float>> outputs(8, std::vector<float>(3000));
      for (std::size_t k = 0; k < 8; ++k) {
        array.put(inputs[k], self.native());
        self.comm.all_reduce(array.data(), 3000);
        self.comm.reduce_scatter(static_cast<const float*>(array.data()), parts.data(), 1000);
        self.comm.all_gather(static_cast<const float*>(parts.data()), gathered.data(), 1000);
        self.comm.broadcast(gathered.data(), 3000, 2);
        cuda::check(cudaMemcpyAsync(outputs[k].data(), gathered.data(), 12000,
                                    cudaMemcpyDeviceToHost, self.native()));
      }
      self.comm.synchronize();
      for (std::size_t k = 0; k < 8; ++k) {
        for (float x : outputs[k]) wrong.unless(x == static_cast<float>(9 * k + 9));
      }
    });
    CHECK(wrong.ranks == 0);
  }
  cuda_double::delay(nullptr, 0us);
}

TEST_CASE(
    "streams: behind a collective nobody uses this rank's arrays any more, and all its results are "
    "there") {
  const Machine machine;
  for (int late = 0; late < 3; ++late) {
    Wrong wrong;
    run({.ranks = 3}, [&](Threads& world, Rank& self) {
      if (world.rank() == late) cuda_double::delay(self.native(), 2ms);
      const std::vector<float> mine(3000, 1.0f), poison(3000, -1.0f);
      std::vector<float> sum(3000);
      GpuArray<float> array(mine, self.native()), parts(1000);
      self.comm.all_reduce(array.data(), 3000);
      cuda::check(
          cudaMemcpyAsync(sum.data(), array.data(), 12000, cudaMemcpyDeviceToHost, self.native()));
      self.comm.reduce_scatter(static_cast<const float*>(array.data()), parts.data(), 1000);
      array.put(poison, self.native());  // peers have read it
      wrong.unless(parts.get(self.comm, self.native()) == std::vector<float>(1000, 9.0f));
      wrong.unless(sum == std::vector<float>(3000, 3.0f));
      cuda_double::delay(self.native(), 0us);
    });
    CHECK(wrong.ranks == 0);
  }
}

TEST_CASE("barrier: what follows on a stream begins when every rank's stream has come so far") {
  const Machine machine;
  std::atomic<int> arrived{0};
  Wrong wrong;
  run({.ranks = 4}, [&](Threads&, Rank& self) {
    for (int k = 1; k <= 20; ++k) {
      cuda::check(cuda_double::enqueue(self.native(), [&] { ++arrived; }));
      self.comm.barrier();
      cuda::check(
          cuda_double::enqueue(self.native(), [&, k] { wrong.unless(arrived.load() >= 4 * k); }));
      self.comm.barrier();
    }
    self.comm.synchronize();
  });
  CHECK(wrong.ranks == 0);
}

TEST_CASE("split, duplicate: groups of ranks, and a second stream of the same ranks") {
  const Machine machine;
  Wrong wrong;
  run({.ranks = 4}, [&](Threads& world, Rank& self) {
    Axes<SharedGpu> axes(self.comm, 2);
    const auto mine = values<double>(world.rank(), 99);
    GpuArray<double> rows(mine, self.native()), columns(mine, self.native()),
        all(mine, self.native());
    axes.shard(self.comm).all_reduce(rows.data(), 99);
    axes.replicate(self.comm).all_reduce(columns.data(), 99);
    SharedGpu again = self.comm.duplicate();
    again.all_reduce(all.data(), 99);
    const auto r = rows.get(self.comm, self.native()), c = columns.get(self.comm, self.native());
    const auto a = all.get(self.comm, self.native());
    const int low = world.rank() / 2 * 2, column = world.rank() % 2;
    for (std::size_t i = 0; i < 99; ++i) {
      wrong.unless(is_sum(r[i], {low, low + 1}, i) && is_sum(c[i], {column, column + 2}, i));
      wrong.unless(is_sum(a[i], first_gpus(4), i));
    }
    SharedGpu reversed = self.comm.split(0, -world.rank());
    wrong.unless(reversed.rank() == 3 - world.rank() && reversed.stream() == self.native());
  });
  CHECK(wrong.ranks == 0);
}

// ---------------------------------------------------------------- failures

/// As ranks.hpp's, over threads that share a GPU.
template <class F> void observe(Outcome& seen, const LaunchOptions& options, F f) {
  seen.expect(options.ranks);
  try {
    run(options,
        [&](Threads& world, Rank& self) { seen.watch(world.rank(), [&] { f(world, self); }); });
  } catch (const std::exception& e) {
    seen.rethrown = e.what();
  }
}

TEST_CASE("Mismatch: on every rank, with both calls, before anything is queued") {
  const Machine machine;
  Outcome seen;
  Wrong written;
  observe(seen, {.ranks = 3}, [&](Threads& world, Rank& self) {
    const std::vector<float> sevens(300, 7);
    GpuArray<float> array(sevens, self.native());
    try {
      world.rank() == 2 ? self.comm.broadcast(array.data(), 300, 1)
                        : self.comm.all_reduce(array.data(), 300);
    } catch (...) {
      written.unless(same_bits(array.get(self.comm, self.native()), sevens));
      throw;
    }
  });
  CHECK(written.ranks == 0);
  for (std::size_t r = 0; r < 3; ++r) {
    CAPTURE(seen.texts[r]);
    CHECK(seen.kinds[r] == 'm');
    CHECK(contains(seen.texts[r],
                   "rank 0 calls all_reduce(300 f32) but rank 2 calls broadcast(300 f32, root 1)"));
  }
}

TEST_CASE(
    "a rank that throws or leaves at any point ends every rank soon; no freed array is touched") {
  const Machine machine;
  for (int trial = 0; trial < (few_kernels ? 12 : 60); ++trial) {
    const int ranks = 2 + trial % 3, thrower = trial % ranks, point = trial % 4;
    const bool leaves = trial % 2 == 0;
    Outcome seen;
    observe(seen, {.ranks = ranks}, [&](Threads& world, Rank& self) {
      for (int k = 0; k < 50; ++k) {
        GpuArray<float> array(2000), part(2000 / static_cast<std::size_t>(ranks));  // come and go
        for (int p = 0; p < 4; ++p) {
          if (world.rank() == thrower && k == 2 && p == point) {
            seen.mark();
            if (leaves) return;
            throw Boom("boom 42");
          }
          if (p == 0) self.comm.all_reduce(array.data(), 2000);
          if (p == 1)
            self.comm.reduce_scatter(static_cast<const float*>(array.data()), part.data(),
                                     part.size());
          if (p == 2) self.comm.broadcast(array.data(), 2000, ranks - 1);
        }
        self.comm.synchronize();
      }
    });
    CHECK(contains(seen.rethrown, leaves ? "left the world" : "boom 42"));
    for (int r = 0; r < ranks; ++r) {
      CAPTURE(seen.texts[static_cast<std::size_t>(r)]);
      CHECK(seen.kinds[static_cast<std::size_t>(r)] == (r != thrower ? 'p' : leaves ? '-' : 'o'));
      CHECK(seen.ms[static_cast<std::size_t>(r)] < 3000);
    }
  }
}

TEST_CASE("abort at any time: peers that are queueing are done before a rank frees its arrays") {
  const Machine machine;
  for (int trial = 0; trial < (few_kernels ? 6 : 40); ++trial) {
    Outcome seen;
    observe(seen, {.ranks = 3}, [&](Threads& world, Rank& self) {
      std::jthread other([&] {
        if (world.rank() != trial % 3) return;
        std::this_thread::sleep_for(std::chrono::microseconds(50 * trial));
        self.comm.abort(std::make_exception_ptr(Boom("stop")));
      });
      for (;;) {
        GpuArray<float> array(3000);
        self.comm.all_reduce(array.data(), 3000);
        cuda::check(cudaStreamSynchronize(self.native()));
      }
    });
    CHECK(seen.rethrown == "stop");
    for (char kind : seen.kinds) CHECK(kind == 'p');
  }
}

TEST_CASE("Timeout, bad roots and too many ranks are said as Threads says them") {
  const Machine machine;
  Outcome seen;
  observe(seen, {.ranks = 3, .timeout = 200ms}, [&](Threads& world, Rank& self) {
    GpuArray<float> array(10);
    CHECK_THROWS_AS(self.comm.broadcast(array.data(), 1, 3), InvalidInput);
    if (world.rank() == 2) std::this_thread::sleep_for(600ms);
    self.comm.all_reduce(array.data(), 10);
  });
  CHECK(seen.kinds == std::vector<char>{'t', 't', 't'});
  CHECK(contains(seen.rethrown, "rank 2"));
  CHECK_THROWS_WITH_AS(run({.ranks = 65}, [](Threads&, Rank&) {}),
                       doctest::Contains("at most 64 ranks"), InvalidInput);
}

}  // namespace
