// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/average_test.cpp: the CPU's bits; a step that is skipped changes nothing.
#include <cohort/ops/cuda/average.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("average on a GPU: the CPU's bits, or nothing where the step is skipped", T,
                   float, double) {
  for (const std::size_t n : {64, 640, 64000}) {
    Gpu gpu;
    const auto start = normal<T>(n, 1), change = normal<T>(n, 2);
    auto rates = normal<T>((n + 63) / 64, 3);
    for (T& r : rates) r = std::fabs(r) / 8;
    GpuArray<T> p(start), sums(n + 1), rate(rates);
    GpuArray<std::int32_t> skip(std::vector<std::int32_t>{1}), go(std::vector<std::int32_t>{0});
    ops::begin_average(gpu, n, sums.data(), T(48));
    auto host = sums.get();
    for (std::size_t i = 0; i < n; ++i) REQUIRE(host[i] == 0);
    REQUIRE(host[n] == 48);
    for (std::size_t i = 0; i < n; ++i) host[i] = 48 * change[i];
    GpuArray<T> reduced(host);
    ops::average(gpu, n, p.data(), reduced.view(), rate.view(), skip.view());
    CHECK(same_bits(p.get(), start));
    ops::average(gpu, n, p.data(), reduced.view(), rate.view(), go.view());
    auto want = start;
    ops::average(cpu, n, want.data(), static_cast<const T*>(host.data()),
                 static_cast<const T*>(rates.data()));
    CHECK(same_bits(p.get(), want));
    CHECK(!same_bits(want, start));
  }
}

TEST_CASE_TEMPLATE("find_non_finite_average: of every sum, not of the samples behind them", T,
                   float, double) {
  Gpu gpu;
  const auto found = [&](std::size_t n, const std::vector<T>& sums) {
    GpuArray<T> s(sums);
    GpuArray<std::int32_t> answer(std::vector<std::int32_t>{0});
    ops::find_non_finite_average(gpu, n, s.view(), answer.data());
    return answer.get()[0];
  };
  for (const std::size_t n : {1, 256, 257, 64000}) {
    auto sums = normal<T>(n + 1, 5);
    CHECK(found(n, sums) == 0);
    sums[n] = INFINITY;
    CHECK(found(n, sums) == 0);
    for (const std::size_t i : {std::size_t{0}, n / 2, n - 1}) {
      const T was = std::exchange(sums[i], i == 0 ? -INFINITY : NAN);
      CHECK(found(n, sums) == 1);
      sums[i] = was;
    }
  }
}
