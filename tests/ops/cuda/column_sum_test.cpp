// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/column_sum_test.cpp: against fp64, and independence of columns.
#include <cohort/ops/cuda/column_sum.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C, class T> void check(int rows, bool first) {
  CAPTURE(C);
  CAPTURE(rows);
  using A = accumulator_t<T>;
  Gpu gpu;
  const auto v = normal<T>(static_cast<std::size_t>(rows * C), 1);
  const auto start = before<A>(C, first);
  GpuArray<T> dy(v);
  GpuArray<A> db(start);
  ops::column_sum<C>(gpu, rows, dy.view(), db.data(), first);
  const auto got = db.get();
  // A sum of n terms below 6 in any order: n additions, each off by a unit of at most 6 n.
  const double tolerance = unit<A> * (rows + 1) * 6 * (rows + 1);
  for (std::size_t c = 0; c < C; ++c) {
    double want = first ? 0 : value(start[c]);
    for (int r = 0; r < rows; ++r) want += value(v[static_cast<std::size_t>(r) * C + c]);
    REQUIRE(std::fabs(value(got[c]) - want) <= tolerance);
  }
}
}  // namespace

TEST_CASE_TEMPLATE("column_sum on a GPU: near fp64 for every size, first or added", T, double,
                   float, bf16, fp16) {
  for (const int rows : {0, 1, 37, 65, 300})
    for (const bool first : {true, false}) {
      check<1, T>(rows, first);
      check<7, T>(rows, first);
      check<72, T>(rows, first);
      check<520, T>(rows, first);
    }
}

TEST_CASE("column_sum on a GPU: a column's bits do not depend on the others") {
  Gpu gpu;
  constexpr int C = 24, rows = 200;
  auto v = normal<float>(C * rows, 1);
  GpuArray<float> a(v), sum_a(C), sum_b(C);
  for (int r = 0; r < rows; ++r) v[static_cast<std::size_t>(r * C + 3)] = 1e30f;
  GpuArray<float> b(v);
  ops::column_sum<C>(gpu, rows, a.view(), sum_a.data(), true);
  ops::column_sum<C>(gpu, rows, b.view(), sum_b.data(), true);
  auto left = sum_a.get(), right = sum_b.get();
  CHECK(left[3] != right[3]);
  left[3] = right[3];
  CHECK(same_bits(left, right));
}

TEST_CASE("column_sum on a GPU: a workspace that is too small is refused with what is needed") {
  Gpu gpu(64);
  GpuArray<float> dy(std::vector<float>(640)), db(64);
  CHECK_THROWS_WITH_AS(ops::column_sum<64>(gpu, 10, dy.view(), db.data(), true),
                       doctest::Contains("256 bytes of workspace are needed"), ContractBroken);
}
