// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_test.cpp: a world of GPUs gives host data the bits of threads, and forms or says why not.
#include <cohort/comm/nccl.hpp>

#include <cohort/comm/axes.hpp>
#include <cohort/comm/recorder.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <mutex>
#include <random>
#include <set>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

static_assert(Communicator<Nccl>);
static_assert(std::same_as<Nccl::device, Cuda>);
static_assert(!std::is_copy_constructible_v<Nccl>);
static_assert(Communicator<Recorder<Nccl>> && Communicator<Recorder<NcclStream>>);

namespace {

/// Variables of the environment for one scope; all launchers' are hidden meanwhile.
class Setting {
 public:
  explicit Setting(std::vector<std::pair<std::string, std::string>> variables)
      : set_(std::move(variables)) {
    for (const auto& [name, text] : set_) setenv(name.c_str(), text.c_str(), 1);
  }
  ~Setting() {
    for (const auto& [name, text] : set_) unsetenv(name.c_str());
    for (const char* name : {"NCCL_COMM_ID", "NCCL_SOCKET_RETRY_CNT", "CUDA_MODULE_LOADING"})
      unsetenv(name);
  }

 private:
  std::vector<std::pair<std::string, std::string>> set_;
};

/// Calls body(world) on every rank of GPUs and of threads, and compares what each rank gets.
template <class T, class Body> void same_as_threads(int ranks, Body body) {
  std::vector<std::vector<T>> expected(static_cast<std::size_t>(ranks));
  Threads::run({.ranks = ranks}, [&](Threads& world) {
    expected[static_cast<std::size_t>(world.rank())] = body(world);
  });
  Wrong wrong;
  on_gpus(ranks, [&](Nccl& world) {
    wrong.unless(same_bits(body(world), expected[static_cast<std::size_t>(world.rank())]));
  });
  CAPTURE(ranks);
  CHECK(wrong.ranks == 0);
}

// ---------------------------------------------------------------- host data

// Within the first message (448 bytes), in several pieces of the 1 MiB stage.
constexpr std::size_t counts[] = {0, 1, 15, 56, 57, 1000, 70001};

TEST_CASE_TEMPLATE("all_reduce, reduce_scatter: the bits of threads", T, float, double, bf16, fp16,
                   std::int32_t, std::int64_t) {
  const Machine machine;
  for (int ranks : {1, 2, 3, 8}) {
    for (std::size_t count : counts) {
      CAPTURE(count);
      same_as_threads<T>(ranks, [&](auto& world) {
        auto mine = values<T>(world.rank(), count);
        world.all_reduce(mine.data(), count);
        return mine;
      });
      if (count > 1000) continue;
      same_as_threads<T>(ranks, [&](auto& world) {
        const auto mine = values<T>(world.rank(), count * static_cast<std::size_t>(world.size()));
        std::vector<T> out(count, static_cast<T>(-1.0f));
        world.reduce_scatter(mine.data(), out.data(), count);
        return out;
      });
    }
  }
}

TEST_CASE_TEMPLATE("all_gather, broadcast: the bytes of threads, also in place", T, float, double,
                   std::int32_t, std::int64_t, std::uint8_t) {
  const Machine machine;
  for (int ranks : {1, 2, 3, 8}) {
    for (std::size_t count : counts) {
      same_as_threads<T>(ranks, [&](auto& world) {
        const auto mine = values<T>(world.rank(), count);
        std::vector<T> out(count * static_cast<std::size_t>(ranks));
        world.all_gather(mine.data(), out.data(), count);
        T* part = out.data() + static_cast<std::size_t>(world.rank()) * count;
        world.all_gather(static_cast<const T*>(part), out.data(), count);
        auto from_last = values<T>(world.rank(), count);
        world.broadcast(from_last.data(), count, ranks - 1);
        out.insert(out.end(), from_last.begin(), from_last.end());
        return out;
      });
    }
  }
}

TEST_CASE("a long mix of small and large calls on worlds and groups: every result right") {
  const Machine machine;
  Wrong wrong;
  on_gpus(4, [&](Nccl& world) {
    std::mt19937 same_on_all_ranks(7);
    std::vector<std::int64_t> mine(9000), all(9000 * 4);
    Nccl pair = world.split(world.rank() / 2, -world.rank());
    wrong.unless(pair.size() == 2 && pair.rank() == 1 - world.rank() % 2 &&
                 pair.gpu() == world.rank());
    Nccl again = world.duplicate();
    for (std::int64_t k = 0; k < 150; ++k) {
      const std::size_t count = 1 + same_on_all_ranks() % (same_on_all_ranks() % 4 ? 60 : 9000);
      const auto kind = same_on_all_ranks() % 4;
      std::fill(mine.begin(), mine.end(), k + world.rank());
      if (kind == 0) {
        again.all_reduce(mine.data(), count);
        wrong.unless(mine[0] == k * 4 + 6 && mine[count - 1] == mine[0]);
      } else if (kind == 1) {
        world.all_gather(mine.data(), all.data(), count);
        for (std::int64_t r = 0; r < 4; ++r)
          wrong.unless(all[static_cast<std::size_t>(r + 1) * count - 1] == k + r);
      } else if (kind == 2) {
        pair.broadcast(mine.data(), count, 1);  // the lower rank of the pair, as keys are reversed
        wrong.unless(mine[count - 1] == k + world.rank() / 2 * 2);
      } else {
        world.barrier();
      }
    }
  });
  CHECK(wrong.ranks == 0);
}

TEST_CASE("barrier: nobody leaves before the last one came") {
  const Machine machine;
  std::atomic<int> arrived{0};
  Wrong wrong;
  on_gpus(8, [&](Nccl& world) {
    for (int k = 1; k <= 10; ++k) {
      ++arrived;
      world.barrier();
      wrong.unless(arrived.load() >= 8 * k);
      world.barrier();
    }
  });
  CHECK(wrong.ranks == 0);
}

TEST_CASE("Mismatch: kind, type, count and root, on every rank, before anything is written") {
  const Machine machine;
  using World = Nccl&;
  const auto check = [](auto first, auto other, const std::string& one, const std::string& two) {
    Outcome seen;
    Wrong written;
    observe(seen, 3, [&](Nccl& world) {
      std::vector<double> in(4000 * 3, 1.0), out(4000 * 3, -1.0);
      world.barrier();
      try {
        world.rank() == 2 ? other(world, in.data(), out.data())
                          : first(world, in.data(), out.data());
      } catch (...) {
        written.unless(in == std::vector<double>(in.size(), 1.0) &&
                       out == std::vector<double>(out.size(), -1.0));
        throw;
      }
    });
    CAPTURE(one);
    CHECK(written.ranks == 0);
    for (std::size_t r = 0; r < 3; ++r) {
      CAPTURE(seen.texts[r]);
      CHECK(seen.kinds[r] == 'm');
      CHECK(
          contains(seen.texts[r], detail::phrase("rank 0 calls ", one, " but rank 2 calls ", two)));
    }
  };
  check([](World w, double* in, double*) { w.all_reduce(in, 4000); },
        [](World w, double* in, double*) { w.all_reduce(in, 3999); }, "all_reduce(4000 f64)",
        "all_reduce(3999 f64)");
  check([](World w, double* in, double*) { w.all_reduce(in, 2); },
        [](World w, double* in, double*) { w.all_reduce(reinterpret_cast<std::int64_t*>(in), 2); },
        "all_reduce(2 f64)", "all_reduce(2 i64)");
  check([](World w, double* in, double* out) { w.reduce_scatter(in, out, 4000); },
        [](World w, double* in, double* out) { w.all_gather(in, out, 4000); },
        "reduce_scatter(4000 f64)", "all_gather(4000 f64)");
  check([](World w, double* in, double*) { w.broadcast(in, 3, 0); },
        [](World w, double* in, double*) { w.broadcast(in, 3, 1); }, "broadcast(3 f64, root 0)",
        "broadcast(3 f64, root 1)");
  check([](World w, double*, double*) { w.barrier(); },
        [](World w, double*, double*) { w.duplicate(); }, "barrier()", "duplicate()");
}

// ---------------------------------------------------------------- where ranks are

TEST_CASE("threads: each rank has the GPU that was named, and it is current") {
  const Machine machine;
  std::mutex mutex;
  std::vector<std::pair<int, int>> seen;
  Nccl::run({.gpus = {5, 2, 7}}, [&](Nccl& world) {
    int current = -1;
    cuda::check(cudaGetDevice(&current));
    const std::lock_guard lock(mutex);
    seen.emplace_back(world.rank(), world.gpu());
    CHECK(current == world.gpu());
  });
  std::sort(seen.begin(), seen.end());
  CHECK(seen == std::vector<std::pair<int, int>>{{0, 5}, {1, 2}, {2, 7}});
}

TEST_CASE("launch: --gpus, --ranks, one rank alone; an error is one line and 1") {
  const Machine machine;
  const auto size_of = [](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "program");
    std::atomic<int> size{0};
    const int code = launch<Nccl>(static_cast<int>(arguments.size()), arguments.data(),
                                  [&](Nccl& world) { size = world.size(); });
    return code == 0 ? size.load() : -code;
  };
  CHECK(size_of({}) == 1);
  CHECK(size_of({"--ranks", "3"}) == 3);
  CHECK(size_of({"--gpus=1,3"}) == 2);
  CHECK(size_of({"--gpus", "1,9"}) == -1);
  CHECK(size_of({"--ranks", "9"}) == -1);
  cuda_double::set_devices(0);
  CHECK(size_of({}) == -1);
}

TEST_CASE("launch: NCCL_COMM_BLOCKING=1 is refused, by threads and processes") {
  const Machine machine;
  for (const bool processes : {false, true}) {
    std::vector<std::pair<std::string, std::string>> variables = {{"NCCL_COMM_BLOCKING", "1"}};
    if (processes)
      variables.insert(variables.end(), {{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"LOCAL_RANK", "0"}});
    const Setting setting(variables);
    CHECK_THROWS_WITH_AS(Nccl::run({.ranks = processes ? 0 : 2}, [](Nccl&) {}),
                         doctest::Contains("NCCL_COMM_BLOCKING=1"), InvalidInput);
  }
}

TEST_CASE("launch: threads have all kernels loaded, which CUDA is told before its first call") {
  const Machine machine;
  const Setting setting({});
  cuda_double::set_devices(0);
  CHECK_THROWS_AS(Nccl::run({.ranks = 2}, [](Nccl&) {}), InvalidInput);
  const char* const loading = std::getenv("CUDA_MODULE_LOADING");
  CHECK((loading != nullptr && loading == std::string("EAGER")));
}

TEST_CASE("processes: a launcher's rank alone is a world of one, on the GPU of its local rank") {
  const Machine machine;
  const Setting torchrun({{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"LOCAL_RANK", "0"}});
  int ranks = 0;
  Nccl::run({}, [&](Nccl& world) {
    double x = 2;
    world.all_reduce(&x, 1);
    ranks = world.size();
    CHECK(x == 2);
  });
  CHECK(ranks == 1);
}

TEST_CASE(
    "processes: half an environment, too few GPUs, a bad port are refused before anything forms") {
  const Machine machine;
  const auto refusal = [](std::vector<std::pair<std::string, std::string>> variables) {
    const Setting setting(std::move(variables));
    try {
      Nccl::run({}, [](Nccl&) {});
    } catch (const InvalidInput& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  CHECK(contains(refusal({{"RANK", "0"}}), "WORLD_SIZE is missing"));
  CHECK(contains(refusal({{"RANK", "4"}, {"WORLD_SIZE", "4"}}),
                 "RANK='4' is no whole number from 0 to 3"));
  CHECK(contains(refusal({{"RANK", "0"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "0"}}),
                 "MASTER_ADDR, MASTER_PORT and"));
  CHECK(
      contains(refusal({{"RANK", "9"}, {"WORLD_SIZE", "16"}, {"LOCAL_RANK", "9"}}), "sees 8 GPUs"));
  CHECK(contains(refusal({{"RANK", "1"},
                          {"WORLD_SIZE", "2"},
                          {"LOCAL_RANK", "1"},
                          {"MASTER_ADDR", "a"},
                          {"MASTER_PORT", "x"}}),
                 "MASTER_PORT='x'"));
  CHECK(nccl_double::aborted() + nccl_double::destroyed() == 0);
}

TEST_CASE("processes: a rank that nobody meets says so at the timeout") {
  const Machine machine;
  const Setting torchrun({{"RANK", "1"},
                          {"WORLD_SIZE", "2"},
                          {"LOCAL_RANK", "1"},
                          {"MASTER_ADDR", "127.0.0.1"},
                          {"MASTER_PORT", "29500"}});
  const auto start = Outcome::Clock::now();
  CHECK_THROWS_WITH_AS(Nccl::run({.timeout = 100ms}, [](Nccl&) {}),
                       doctest::Contains("meeting of 2 ranks was not done within 100 ms"), Timeout);
  CHECK(Outcome::Clock::now() - start < 5s);
  CHECK(nccl_double::aborted() == 1);
}

TEST_CASE(
    "processes that share nothing: the same results, and every fault ends every rank in time") {
  const Machine machine;
  nccl_double::set_peers_hear(true);
  Outcome well;
  Wrong wrong;
  as_processes(well, 4, [&](Nccl& world) {
    auto mine = values<double>(world.rank(), 100);
    world.all_reduce(mine.data(), 100);
    for (std::size_t i = 0; i < 100; ++i) wrong.unless(is_sum(mine[i], first_gpus(4), i));
  });
  CHECK(wrong.ranks == 0);
  CHECK(well.kinds == std::vector<char>(4, '-'));
  for (bool network : {true, false}) {  // NVLink tells nobody: the timeout does
    nccl_double::set_peers_hear(network);
    Outcome seen;
    as_processes(
        seen, 3,
        [&](Nccl& world) {
          world.barrier();
          seen.mark();
          if (world.rank() == 1) throw Boom("boom");
          world.barrier();
          world.barrier();
        },
        400ms);
    for (std::size_t r : {0, 2}) {
      CAPTURE(seen.texts[r]);
      // Rank 0 may be the first to time out, and rank 2 hears of its abort.
      CHECK(seen.kinds[r] == (network ? 'p' : 't'));
      CHECK(seen.ms[r] < 3000);
    }
  }
}

TEST_CASE("errors on the way to a world: NCCL's words, and no rank waits for the others") {
  const Machine machine;
  for (const char* function : {"ncclGetUniqueId", "ncclCommInitRankConfig"}) {
    nccl_double::fail(function, ncclSystemError);
    Outcome seen;
    observe(seen, 3, [](Nccl&) {});
    CAPTURE(function);
    CHECK(contains(seen.rethrown, "unhandled system error"));
  }
  for (const char* function :
       {"cudaMallocHost", "cudaMalloc", "cudaStreamCreateWithPriority", "cudaSetDevice"}) {
    cuda_double::fail(function, 2, cudaErrorMemoryAllocation);
    Outcome seen;
    observe(seen, 3, [](Nccl&) {});
    CAPTURE(function);
    CHECK((contains(seen.rethrown, "cudaErrorMemoryAllocation") ||
           contains(seen.rethrown, "refused")));
    cuda_double::reset();
    cuda_double::set_devices(8);
  }
}

TEST_CASE("two ranks that found one GPU: invalid input in NCCL's words, on both") {
  const Machine machine;
  const ncclUniqueId id = detail::nccl_unique_id("");
  std::vector<std::string> texts(2);
  {
    std::vector<std::jthread> threads;
    for (int r = 0; r < 2; ++r) {
      threads.emplace_back([&, r] {
        try {
          Nccl::join(std::make_shared<detail::Fate>(2, false, 10s), {r, 2, 0}, id);
        } catch (const InvalidInput& e) {
          texts[static_cast<std::size_t>(r)] = e.what();
        }
      });
    }
  }
  for (const std::string& text : texts) CHECK(contains(text, "Duplicate GPU detected"));
}

TEST_CASE("Axes: HybridShard's two axes are made of a stream's groups") {
  const Machine machine;
  Wrong wrong;
  on_gpus(4, [&](Nccl& world) {
    cuda::Stream stream;
    NcclStream comm = world.on(stream.native());
    Axes<NcclStream> axes(comm, 2);
    wrong.unless(axes.shard(comm).size() == 2 && axes.shard(comm).rank() == world.rank() % 2);
    const auto mine = values<double>(world.rank(), 9);
    GpuArray<double> array(mine, stream.native());
    axes.replicate(comm).all_reduce(array.data(), 9);
    const auto sum = array.get(comm, stream.native());
    const int column = world.rank() % 2;
    for (std::size_t i = 0; i < 9; ++i) wrong.unless(is_sum(sum[i], {column, column + 2}, i));
  });
  CHECK(wrong.ranks == 0);
}

TEST_CASE(
    "a rank that throws, a hundred times: the first error comes out, and the next world works") {
  const Machine machine;
  for (int trial = 0; trial < 100; ++trial) {
    const int ranks = 2 + trial % 3, thrower = trial % ranks, when = trial % 5;
    Outcome seen;
    observe(seen, ranks, [&](Nccl& world) {
      std::int64_t x = 1;
      world.barrier();  // all have formed
      for (int k = 0; k < 5; ++k) {
        if (world.rank() == thrower && k == when) throw Boom("boom");
        world.all_reduce(&x, 1);
      }
    });
    CHECK(seen.rethrown == "boom");
    for (int r = 0; r < ranks; ++r)
      CHECK(seen.kinds[static_cast<std::size_t>(r)] == (r == thrower ? 'o' : 'p'));
  }
}

}  // namespace
