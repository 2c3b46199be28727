// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/pair_sums_test.cpp: the CPU's bits, over whole packs and tails, where results may lie.
#include <cohort/ops/cuda/pair_sums.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("add_pairs on a GPU: the CPU's bits", T, float, double) {
  for (const std::size_t n : {1, 2, 64, 1023, 4099}) {
    for (const std::size_t stride : {n, n + 1, n + 64}) {
      for (const int count : {1, 2, 5}) {
        Gpu gpu;
        const auto sums = normal<T>(static_cast<std::size_t>(count) * stride, 1);
        const auto newest = normal<T>(n, 2);
        std::vector<T> want(n);
        ops::add_pairs(cpu, n, sums.data(), stride, count, newest.data(), want.data());
        GpuArray<T> left(sums), right(newest), apart(n);
        ops::add_pairs(gpu, n, left.view(), stride, count, right.view(), apart.data());
        CHECK(same_bits(apart.get(), want));
        ops::add_pairs(gpu, n, left.view(), stride, count, right.view(), right.data());
        CHECK(same_bits(right.get(), want));
        GpuArray<T> again(newest);
        ops::add_pairs(gpu, n, left.view(), stride, count, again.view(), left.data());
        auto over = left.get();
        over.resize(n);
        CHECK(same_bits(over, want));
      }
    }
  }
}
