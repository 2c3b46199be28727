// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ptx/mistakes_test.cu: what a GPU would not forgive is found in compiled kernels, and right ones pass.
#include <doctest/doctest.h>

#include <cohort/device/cuda/mma.hpp>
#include <cohort/device/cuda/pack.hpp>

#include "support.hpp"

namespace {

using namespace cohort;
using ptx_test::Array;
using ptx_test::mistake_of;

/// Neighbours exchange numbers through shared memory. How says what orders it.
enum class How { sync, sync_warp, nothing };
template <How how, int Threads> struct Exchange {
  static constexpr int threads = Threads;
  struct Shared {
    float x[threads];
  };
  int distance;
  float* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int i = block.thread();
    shared.x[i] = static_cast<float>(i);
    if constexpr (how == How::sync) block.sync();
    if constexpr (how == How::sync_warp) block.sync_warp();
    y[i] = shared.x[i ^ distance];
  }
};

TEST_CASE("mistakes: threads that exchange without a barrier, or with one of a warp across warps") {
  const Array<float> y(std::vector<float>(64));
  CHECK(mistake_of(1, Exchange<How::sync, 64>{33, y.data()}) == "");
  CHECK(y.download()[0] == 33);
  CHECK(mistake_of(1, Exchange<How::sync_warp, 64>{1, y.data()}) == "");
  const std::string across = mistake_of(1, Exchange<How::sync_warp, 64>{32, y.data()});
  const std::string without = mistake_of(1, Exchange<How::nothing, 32>{1, y.data()});
  CHECK(across.find("which nothing wrote") != across.npos);  // warp 0 reads before warp 1 begins
  CHECK(without.find("reads what another thread writes without a barrier") != without.npos);
  CHECK(without.find("mistakes_test.cu:") != without.npos);  // and where
}

struct WriteAfterRead {
  static constexpr int threads = 64;
  struct Shared {
    float x[threads];
  };
  bool waits;
  float* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int i = block.thread();
    shared.x[i] = 1;
    block.sync();
    y[i] = shared.x[63 - i];
    if (waits) block.sync();
    shared.x[i] = 2;
    block.sync();
    y[i] += shared.x[63 - i];
  }
};
TEST_CASE("mistakes: shared memory is written again before others have read it") {
  const Array<float> y(std::vector<float>(64));
  CHECK(mistake_of(1, WriteAfterRead{true, y.data()}) == "");
  CHECK(y.download()[5] == 3);
  CHECK(mistake_of(1, WriteAfterRead{false, y.data()}).find("what another thread") !=
        std::string::npos);
}

struct Unwritten {
  static constexpr int threads = 32;
  struct Shared {
    float x[threads + 1];
  };
  int ahead;
  float* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    shared.x[block.thread()] = 1;
    block.sync();
    y[block.thread()] = shared.x[block.thread() + ahead];
  }
};
TEST_CASE("mistakes: shared memory that nothing wrote, or beyond its end") {
  const Array<float> y(std::vector<float>(32));
  CHECK(mistake_of(1, Unwritten{0, y.data()}) == "");
  CHECK(mistake_of(1, Unwritten{1, y.data()}).find("which nothing wrote") != std::string::npos);
  CHECK(mistake_of(1, Unwritten{40, y.data()}).find("bytes of shared memory") != std::string::npos);
}

template <int N> struct CopyPacks {
  static constexpr int threads = 32;
  struct Shared {};
  const float* x;
  float* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    using cuda::load;
    using cuda::store;
    store(y + block.thread() * N, load<N>(x + block.thread() * N));
  }
};
TEST_CASE("mistakes: global memory beyond an allocation, and packs off their alignment") {
  const Array<float> x(std::vector<float>(128)), y(std::vector<float>(128));
  CHECK(mistake_of(1, CopyPacks<4>{x.data(), y.data()}) == "");
  CHECK(mistake_of(1, CopyPacks<4>{x.data() + 1, y.data()}).find("4 bytes off their alignment") !=
        std::string::npos);
  CHECK(mistake_of(1, CopyPacks<1>{x.data() + 97, y.data()}).find("outside any allocation") !=
        std::string::npos);
  CHECK(mistake_of(1, CopyPacks<1>{x.data(), y.data() + 128}).find("writes 4 bytes") !=
        std::string::npos);
}

struct Neighbours {
  static constexpr int threads = 32;
  struct Shared {};
  bool atomics;
  unsigned* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    if (atomics)
      block.atomic_add(&y[block.thread()], 1u);
    else
      y[block.thread()] = 1;
  }
};
TEST_CASE("mistakes: two blocks that write the same bytes; atomics may") {
  const Array<unsigned> y(std::vector<unsigned>(32));
  CHECK(mistake_of(2, Neighbours{true, y.data()}) == "");
  CHECK(y.download()[7] == 2);
  CHECK(mistake_of(1, Neighbours{false, y.data()}) == "");
  CHECK(mistake_of(2, Neighbours{false, y.data()}).find("in the same kernel") != std::string::npos);
}

struct HalfABarrier {
  static constexpr int threads = 64;
  struct Shared {};
  int some;
  float* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    if (block.thread() < some) {
      block.sync();
      y[block.thread()] = 1;
    }
    y[block.thread()] += block.shuffle_xor(1.0f, 1);
  }
};
TEST_CASE("mistakes: a barrier that a part of a warp comes to") {
  const Array<float> y(std::vector<float>(64));
  CHECK(mistake_of(1, HalfABarrier{64, y.data()}) == "");
  CHECK(mistake_of(1, HalfABarrier{16, y.data()}).find("come to") != std::string::npos);
}

struct HalfAShuffle {
  static constexpr int threads = 32;
  struct Shared {};
  int some;
  float* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int i = block.thread();
    if (i >= some) return;
    y[i] = block.shuffle(static_cast<float>(i), 31);
  }
};
TEST_CASE("mistakes: a shuffle that some lanes never come to") {
  const Array<float> y(std::vector<float>(32));
  CHECK(mistake_of(1, HalfAShuffle{32, y.data()}) == "");
  CHECK(y.download()[3] == 31);
  // Lanes that have ended are not waited for, but have no value either.
  CHECK(mistake_of(1, HalfAShuffle{16, y.data()}).find("a lane that does not take part") !=
        std::string::npos);
}

enum class Wait { rightly, too_early, no_barrier };
template <Wait how> struct Arrivals {
  static constexpr int threads = 64;
  struct Shared {
    alignas(16) float x[2][4 * threads];
  };
  const float* from;
  float* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int i = block.thread();
    for (int stage = 0; stage < 2; ++stage) {
      cuda::cp_async<16>(&shared.x[stage][4 * i], from + 4 * i, true);
      cuda::cp_async_commit();
    }
    cuda::cp_async_wait<how == Wait::too_early ? 2 : 1>();
    if constexpr (how != Wait::no_barrier) block.sync();
    y[i] = shared.x[0][4 * (63 - i)];
    cuda::cp_async_wait<0>();
  }
};
TEST_CASE("mistakes: copies that are read before they arrive, or by others without a barrier") {
  std::vector<float> values(256);
  for (int i = 0; i < 256; ++i) values[std::size_t(i)] = float(i);
  const Array<float> x(values), y(std::vector<float>(64));
  CHECK(mistake_of(1, Arrivals<Wait::rightly>{x.data(), y.data()}) == "");
  CHECK(y.download()[0] == 252);
  CHECK(
      mistake_of(1, Arrivals<Wait::too_early>{x.data(), y.data()}).find("a copy is under way to") !=
      std::string::npos);
  CHECK(mistake_of(1, Arrivals<Wait::no_barrier>{x.data(), y.data()}) != "");
}

struct TooMuch {
  static constexpr int threads = 32;
  struct Shared {
    float x[20000];
  };
  float* y;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    shared.x[block.thread()] = 1;
    y[block.thread()] = shared.x[block.thread()];
  }
};
TEST_CASE("mistakes: more than 48 KiB of shared memory only for those who ask") {
  const Array<float> y(std::vector<float>(32));
  CHECK(mistake_of(1, TooMuch{y.data()}) == "");  // launch() asks
  cuda::detail::run<TooMuch><<<1, 32, 228 * 1024>>>(TooMuch{y.data()});
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
}

}  // namespace
