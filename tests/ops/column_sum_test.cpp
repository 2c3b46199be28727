// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/column_sum_test.cpp: against fp64, first and added, independence of columns.
#include <doctest/doctest.h>

#include <cohort/ops/column_sum.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int C> void check(int rows) {
  const auto dy = normal<float>(static_cast<std::size_t>(rows) * C, 1);
  std::vector<double> want(C, 0.0), size(C, 0.0);
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < C; ++c) {
      want[c] += double(dy[r * C + c]);
      size[c] += std::fabs(double(dy[r * C + c]));
    }
  std::vector<float> db(C, 5.0f);
  ops::column_sum<C>(cpu, rows, dy.data(), db.data(), true);
  // Blocks of 32 rows: 32 + rows / 32 roundings of partial sums, each below the sum of sizes.
  for (int c = 0; c < C; ++c)
    REQUIRE(std::fabs(db[c] - want[c]) <= unit<float> * (32 + rows / 32.0) * size[c]);
  auto twice = db;
  ops::column_sum<C>(cpu, rows, dy.data(), twice.data(), false);
  for (int c = 0; c < C; ++c) REQUIRE(twice[c] == 2 * db[c]);
}
}  // namespace

TEST_CASE("column_sum: agrees with fp64 and adds when it is not the first") {
  for (int rows : {1, 31, 32, 33, 200}) {
    check<1>(rows);
    check<65>(rows);
    check<128>(rows);
    check<300>(rows);
  }
  std::vector<float> db(4, 3.0f);
  ops::column_sum<4>(cpu, 0, static_cast<const float*>(nullptr), db.data(), true);
  CHECK(db == std::vector<float>(4, 0.0f));  // no rows: zero
}

TEST_CASE("column_sum: a column's bits do not depend on the others or on alignment") {
  const auto wide = normal<float>(100 * 300, 1);
  std::vector<float> all(300), one(1), column(101);
  ops::column_sum<300>(cpu, 100, wide.data(), all.data(), true);
  for (int c = 0; c < 300; ++c) {
    for (int r = 0; r < 100; ++r) column[r + 1] = wide[r * 300 + c];
    ops::column_sum<1>(cpu, 100, column.data() + 1, one.data(), true);
    REQUIRE(one[0] == all[c]);
  }
}

TEST_CASE_TEMPLATE("column_sum: 16-bit rows are summed in fp32, against fp64", T, bf16, fp16) {
  constexpr int C = 165, rows = 70;
  const auto dy = normal<T>(rows * C, 1);
  const auto wide = as<float>(dy);
  std::vector<float> db(C, 5.0f), of_wide(C);
  ops::column_sum<C>(cpu, rows, dy.data(), db.data(), true);
  ops::column_sum<C>(cpu, rows, wide.data(), of_wide.data(), true);
  CHECK(same_bits(db, of_wide));
  int held_by_T = 0;
  for (int c = 0; c < C; ++c) {
    double want = 0, size = 0;
    for (int r = 0; r < rows; ++r) want += value(dy[r * C + c]);
    for (int r = 0; r < rows; ++r) size += std::fabs(value(dy[r * C + c]));
    REQUIRE(std::fabs(db[c] - want) <= unit<float> * (32 + rows / 32.0) * size);  // as above
    held_by_T += float(T(db[c])) == db[c];
  }
  CHECK(held_by_T < C / 2);  // not rounded to T on the way
  ops::column_sum<C>(cpu, rows, dy.data(), db.data(), false);
  for (int c = 0; c < C; ++c) REQUIRE(db[c] == 2 * of_wide[c]);
}
