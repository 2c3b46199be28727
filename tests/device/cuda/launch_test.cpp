// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/launch_test.cpp: the double runs kernels as a GPU would, and finds what a GPU would not forgive.
#include <cohort/device/cuda/launch.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace {
namespace cuda = cohort::cuda;
namespace cuda_double = cohort::cuda_double;

/// Nothing is left over for the next test.
struct Clean {
  Clean() { cuda_double::reset(); }
  ~Clean() { cuda_double::reset(); }
};
struct Empty {};

struct Where {  // every thread says who it is
  static constexpr int threads = 96;
  using Shared = Empty;
  int* out;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    int* mine = out + 6 * (block.index() * block.threads() + block.thread());
    mine[0] = block.thread(), mine[1] = block.threads(), mine[2] = block.index();
    mine[3] = block.count(), mine[4] = block.lane(), mine[5] = block.warp();
  }
};

struct SumOfBlock {  // warp sums by shuffles, warps by shared memory, blocks by an atomic
  static constexpr int threads = 256;
  struct Shared {
    unsigned of_warp[8];
  };
  const unsigned* in;
  unsigned *of_block, *total;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    unsigned sum = in[block.index() * threads + block.thread()];
    for (int mask = 16; mask > 0; mask /= 2) sum += block.shuffle_xor(sum, mask);
    if (block.lane() == 0) shared.of_warp[block.warp()] = sum;
    block.sync();
    unsigned all = 0;
    for (const unsigned one : shared.of_warp) all += one;
    if (block.thread() == 0) of_block[block.index()] = all;
    if (block.thread() == 0) block.atomic_add(total, all);
  }
};

struct Lanes {  // what each lane gets from the collectives of a warp
  static constexpr int threads = 64;
  using Shared = Empty;
  double* shuffled;
  float* crossed;
  unsigned* votes;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int t = block.thread();
    for (int round = 0; round < 5; ++round) {
      shuffled[t] = block.shuffle(t + 0.25 * round, (block.lane() + round) % 32);
      crossed[t] = block.shuffle_xor(static_cast<float>(t), round);
      block.sync_warp();
      votes[t] = block.ballot(block.lane() % 3 == round % 3);
    }
  }
};

struct SeesPoison {
  static constexpr int threads = 32;
  struct Shared {
    unsigned char bytes[1000];
  };
  int* wrong;  // by each thread
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    int& mine = wrong[block.index() * threads + block.thread()];
    for (int i = block.thread(); i < 1000; i += threads) mine += shared.bytes[i] != 0xFF;
    block.sync();
    for (int i = block.thread(); i < 1000; i += threads) shared.bytes[i] = 1;  // for the next block
  }
};

enum class Mistake { none, half_syncs, lanes_leave, two_syncs, two_collectives, far_lane, throws };
template <Mistake M> struct Wrong {
  static constexpr int threads = 64;
  using Shared = Empty;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int t = block.thread();
    if (M == Mistake::half_syncs && t < 40) block.sync();
    if (M == Mistake::lanes_leave && t != 35) block.shuffle(t, 0);
    if (M == Mistake::two_syncs) {
      if (t < 32)
        block.sync();
      else
        block.sync();
    }
    if (M == Mistake::two_collectives) {
      if (t % 2 == 0)
        block.sync_warp();
      else
        block.ballot(true);
    }
    if (M == Mistake::far_lane) block.shuffle(t, t);
#if !defined(__CUDACC__)
    if (M == Mistake::throws && t == 3) throw std::runtime_error("no kernel should");
#endif
  }
};
template <Mistake M> std::string report() {
  cuda::launch({}, 1, Wrong<Mistake::none>{});
  CHECK_THROWS_AS(cuda::launch({}, 2, Wrong<M>{}), cohort::Error);
  CHECK_THROWS_AS(cuda::launch({}, 2, Wrong<Mistake::none>{}),
                  cohort::Error);  // as on a GPU: for good
  const std::string text = cuda_double::take_failure();
  CHECK(text.find("Wrong<") != std::string::npos);
  cuda::launch({}, 2, Wrong<Mistake::none>{});  // and the fibers are as new
  return text;
}
bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

struct Neighbour {  // forgets the sync() between writing and reading unless it is told not to
  static constexpr int threads = 64;
  struct Shared {
    int value[threads];
  };
  int* out;
  bool waits;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int t = block.thread();
    shared.value[t] = t;
    if (waits) block.sync();
    out[t] = shared.value[(t + 1) % threads];
  }
};

struct FirstWins {
  static constexpr int threads = 32;
  using Shared = Empty;
  unsigned *at, *winners;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const auto mine = static_cast<unsigned>(block.thread()) + 1;
    if (block.atomic_exchange_if(at, 0, mine) == 0) block.atomic_add(winners, 1);
    block.fence();
  }
};
}  // namespace

TEST_CASE("launch: each thread of each block runs once and knows its place") {
  const Clean clean;
  for (const auto order : {cuda_double::Order::forward, cuda_double::Order::backward}) {
    cuda_double::set_order(order);
    std::vector<int> out(6 * 96 * 3, -1);
    cuda::launch({}, 3, Where{out.data()});
    for (int i = 0; i < 96 * 3; ++i) {
      const int* got = &out[static_cast<std::size_t>(6 * i)];
      const int t = i % 96;
      CHECK(std::vector<int>(got, got + 6) == std::vector<int>{t, 96, i / 96, 3, t % 32, t / 32});
    }
  }
  cuda::launch({}, 0, Where{nullptr});  // nothing
}

TEST_CASE("launch: shuffles, shared memory, barriers and atomics add up") {
  const Clean clean;
  std::vector<unsigned> in(256 * 5);
  std::vector<unsigned> expected(5), of_block(5);
  for (std::size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<unsigned>(i * 2654435761u);
    expected[i / 256] += in[i];
  }
  for (const auto order : {cuda_double::Order::forward, cuda_double::Order::backward}) {
    cuda_double::set_order(order);
    unsigned total = 7;
    cuda::launch({}, 5, SumOfBlock{in.data(), of_block.data(), &total});
    CHECK(of_block == expected);
    unsigned sum = 7;
    for (const unsigned one : expected) sum += one;
    CHECK(total == sum);
  }
}

TEST_CASE(
    "launch: a warp's lanes see each other's values of this collective, and no other warp's") {
  const Clean clean;
  std::vector<double> shuffled(64);
  std::vector<float> crossed(64);
  std::vector<unsigned> votes(64);
  cuda::launch({}, 1, Lanes{shuffled.data(), crossed.data(), votes.data()});
  unsigned every_third = 0;  // the last round is 4, 4 % 3 == 1
  for (unsigned lane = 1; lane < 32; lane += 3) every_third |= 1u << lane;
  for (int t = 0; t < 64; ++t) {
    const auto i = static_cast<std::size_t>(t);
    CHECK(shuffled[i] == t / 32 * 32 + (t % 32 + 4) % 32 + 1.0);
    CHECK(crossed[i] == static_cast<float>(t ^ 4));
    CHECK(votes[i] == every_third);
  }
}

TEST_CASE("launch: shared memory holds 0xFF bytes when a block begins") {
  const Clean clean;
  std::vector<int> wrong(4 * 32);
  cuda::launch({}, 4, SeesPoison{wrong.data()});
  CHECK(wrong == std::vector<int>(4 * 32));
}

TEST_CASE("launch: a kernel's mistake is an error that names the kernel and the places") {
  const Clean clean;
  CHECK(has(report<Mistake::half_syncs>(),
            "is reached by 40 of 64 threads. 24 threads have returned"));
  CHECK(has(report<Mistake::lanes_leave>(), "is reached by 31 of 32 lanes of warp 1"));
  CHECK(has(report<Mistake::two_syncs>(), "others of the same block are in sync at"));
  CHECK(has(report<Mistake::two_collectives>(), "some threads call ballot at"));
  CHECK(has(report<Mistake::two_collectives>(), "others of the same warp are in sync_warp at"));
  CHECK(has(report<Mistake::two_collectives>(), "launch_test.cpp:"));
  CHECK(has(report<Mistake::far_lane>(), "a lane beyond the warp"));
  CHECK(has(report<Mistake::throws>(), "thread 3 threw: no kernel should"));
}

TEST_CASE("launch: where a barrier is missing, the order of threads changes the result") {
  const Clean clean;
  cuda_double::watch_kernels(false);  // ThreadSanitizer would report the race
  std::vector<int> forward(64), backward(64);
  for (const bool waits : {true, false}) {
    cuda_double::set_order(cuda_double::Order::forward);
    cuda::launch({}, 1, Neighbour{forward.data(), waits});
    cuda_double::set_order(cuda_double::Order::backward);
    cuda::launch({}, 1, Neighbour{backward.data(), waits});
    CHECK((forward == backward) == waits);
  }
}

TEST_CASE("launch: atomic_exchange_if lets the first win") {
  const Clean clean;
  unsigned at = 0, winners = 0;
  cuda::launch({}, 3, FirstWins{&at, &winners});
  CHECK(at == 1);
  CHECK(winners == 1);
}

TEST_CASE("launch: what is not executed is logged all the same") {
  const Clean clean;
  cuda_double::set_execute(false);
  cuda_double::record(true);
  cuda::launch({}, 4, SeesPoison{nullptr});
  const auto log = cuda_double::take_log();
  REQUIRE(log.size() == 1);
  CHECK(log[0].kind == cuda_double::Record::kernel);
  CHECK(has(log[0].name, "SeesPoison"));
  CHECK(log[0].blocks == 4);
  CHECK(log[0].threads == 32);
  CHECK(log[0].bytes == 1000);
  CHECK(cuda_double::take_log().empty());
}

TEST_CASE("launch: a refused launch is an error at the caller's place") {
  const Clean clean;
  cuda_double::fail("launch", 2, cudaErrorLaunchOutOfResources);
  cuda::launch({}, 1, Wrong<Mistake::none>{});
  try {
    cuda::launch({}, 1, Wrong<Mistake::none>{});
    FAIL("must throw");
  } catch (const cohort::Error& error) {
    CHECK(has(error.what(), "cudaErrorLaunchOutOfResources"));
    CHECK(has(error.what(), "launch_test.cpp:"));
  }
  cuda::launch({}, 1, Wrong<Mistake::none>{});
  CHECK(cuda_double::calls("launch") == 3);
}
