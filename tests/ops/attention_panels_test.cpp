// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/attention_panels_test.cpp: small products and transposition against plain loops.
#include <doctest/doctest.h>

#include <cohort/ops/attention_panels.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int Width, bool Add, class T> void check_multiply(int rows, int depth, bool transposed) {
  const auto a = normal<T>(static_cast<std::size_t>(rows) * depth, 1);
  const auto b = normal<T>(static_cast<std::size_t>(depth) * Width, 2);
  auto c = normal<T>(static_cast<std::size_t>(rows) * Width, 3), want = c;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < Width; ++j) {
      long double sum = Add ? c[i * Width + j] : T(0);
      for (int k = 0; k < depth; ++k)
        sum += static_cast<long double>(transposed ? a[k * rows + i] : a[i * depth + k]) *
               b[k * Width + j];
      want[i * Width + j] = T(sum);
    }
  ops::detail::multiply<Width, Add>(rows, depth, a.data(), transposed ? 1 : depth,
                                    transposed ? rows : 1, b.data(), Width, c.data());
  // depth + 1 roundings of partial sums of depth + 1 terms below 16 each.
  CHECK(max_error(c, want) <= unit<T> * (depth + 1) * 16.0 * (depth + 1));
}
}  // namespace

TEST_CASE_TEMPLATE("attention_panels: products agree, plain and transposed, stored and added", T,
                   float, double) {
  for (bool transposed : {false, true}) {
    check_multiply<16, false, T>(32, 7, transposed);
    check_multiply<16, true, T>(16, 32, transposed);
    check_multiply<32, true, T>(48, 16, transposed);
    check_multiply<48, false, T>(16, 1, transposed);
    check_multiply<64, false, T>(16, 0, transposed);  // nothing to add up: zeros
  }
}

TEST_CASE_TEMPLATE("attention_panels: a strip and its transpose hold the same numbers", T, float,
                   double) {
  constexpr int D = 21, width = ops::detail::padded<D, T>, strip = ops::detail::strip;
  const auto from = normal<T>(5 * 30, 1);
  std::vector<T> rows(strip * width, T(NAN)), columns(D * strip, T(NAN));
  ops::detail::copy_rows<D>(5, strip, from.data(), 30, rows.data());
  ops::detail::transpose_strip<D>(rows.data(), columns.data());
  for (int i = 0; i < strip; ++i)
    for (int d = 0; d < width; ++d) {
      const T want = i < 5 && d < D ? from[i * 30 + d] : T(0);
      REQUIRE(rows[i * width + d] == want);
      if (d < D) REQUIRE(columns[d * strip + i] == want);
    }
}

TEST_CASE_TEMPLATE("attention_panels: 16-bit rows are widened into a panel and rounded out of it",
                   T, bf16, fp16) {
  constexpr int D = 21, width = ops::detail::padded<D, float>, strip = ops::detail::strip;
  const auto from = normal<T>(5 * 30, 1);
  std::vector<float> panel(strip * width, NAN);
  ops::detail::copy_rows<D>(5, strip, from.data(), 30, panel.data());
  std::vector<T> row(D + 1, T(7.0f));
  for (int i = 0; i < strip; ++i) {
    for (int d = 0; d < width; ++d)
      REQUIRE(panel[i * width + d] == (i < 5 && d < D ? float(from[i * 30 + d]) : 0.0f));
    ops::detail::store_row<D>(panel.data() + i * width, 0.3f, row.data());
    for (int d = 0; d < D; ++d) REQUIRE(row[d].bits == T(panel[i * width + d] * 0.3f).bits);
    REQUIRE(float(row[D]) == 7.0f);
  }
}
