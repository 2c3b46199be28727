// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/reduce_test.cpp: reductions give all threads the same bits; rows cover every element once.
#include <cohort/ops/cuda/reduce.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;
using namespace cohort::ops::kernels;

namespace {

template <class A> struct OverBlock {
  static constexpr int threads = 128, warps = 4;
  struct Shared {
    A of_warp[warps];
  };
  const A* in;
  A *sums, *tops;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int i = block.index() * threads + block.thread();
    sums[i] = over_warps<warps>(block, over_warp(block, in[i], Sum{}), shared.of_warp, Sum{});
    tops[i] = over_warps<warps>(block, over_warp(block, in[i], Max{}), shared.of_warp, Max{});
  }
};

template <int C, int N> struct Cover {
  using Row = RowShape<C, N>;
  static constexpr int threads = Row::threads;
  struct Shared {};
  int rows;
  int* times;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int row = Row::row(block);
    if (row >= rows) return;
    Row::for_packs(Row::thread(block), [&](auto k, int c) {
      static_assert(k < Row::each);
      for (int i = 0; i < N; ++i) ++times[row * C + c + i];
    });
  }
};

template <int C, int N> void check_cover() {
  CAPTURE(C);
  Gpu gpu;
  using K = Cover<C, N>;
  const int rows = 2 * K::Row::rows + 1;
  GpuArray<int> times(std::vector<int>(static_cast<std::size_t>(rows * C), 0));
  cuda::launch(gpu, ceil_div(rows, K::Row::rows), K{rows, times.data()});
  CHECK(times.get() == std::vector<int>(static_cast<std::size_t>(rows * C), 1));
}

}  // namespace

TEST_CASE_TEMPLATE("reduce: every thread gets the same sum and maximum, in a fixed tree", A, float,
                   double) {
  Gpu gpu;
  const int blocks = 3, n = blocks * 128;
  const auto x = normal<A>(n, 1);
  GpuArray<A> in(x), sums(n), tops(n);
  cuda::launch(gpu, blocks, OverBlock<A>{in.view(), sums.data(), tops.data()});
  const auto sum = sums.get(), top = tops.get();
  for (int b = 0; b < blocks; ++b) {
    A all = 0;
    for (int w = 0; w < 4; ++w) {  // lane i meets lane i ^ 16, then i ^ 8, ...
      std::vector<A> lane(x.begin() + b * 128 + w * 32, x.begin() + b * 128 + w * 32 + 32);
      for (std::size_t half = 16; half > 0; half /= 2)
        for (std::size_t i = 0; i < half; ++i) lane[i] += lane[i + half];
      all = w == 0 ? lane[0] : all + lane[0];
    }
    const A most = *std::max_element(x.begin() + b * 128, x.begin() + b * 128 + 128);
    for (int i = b * 128; i < b * 128 + 128; ++i) {
      REQUIRE(sum[static_cast<std::size_t>(i)] == all);
      REQUIRE(top[static_cast<std::size_t>(i)] == most);
    }
  }
}

TEST_CASE("RowShape: every element of a row belongs to one pack of one thread") {
  check_cover<1, 1>();
  check_cover<7, 1>();
  check_cover<768, 8>();
  check_cover<768, 4>();
  check_cover<1000, 8>();
  check_cover<1028, 4>();
  check_cover<5000, 8>();
  check_cover<9000, 4>();
  check_cover<17000, 8>();
}
