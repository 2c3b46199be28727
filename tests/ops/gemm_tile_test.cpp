// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_tile_test.cpp: laws of packing and of one register tile.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_tile.hpp>
#include <vector>

using namespace cohort::detail;

namespace {

constexpr int width = widest_register;
using Size = Tile<float, width>;
constexpr int lanes = Size::V::lanes;

}  // namespace

static_assert(Size::width % Size::columns == 0 && Size::columns == 2 * lanes);
static_assert(Size::panel >= Size::depth * Size::columns, "a full panel fits its place");
static_assert(Size::scratch == (256 + 1) * 512 * sizeof(float));
static_assert(Tile<double, width>::scratch <= Size::scratch);
static_assert(packed_pitch<float, width>(1) == lanes);
static_assert(packed_pitch<float, width>(lanes + 1) == 2 * lanes);

TEST_CASE("pack_panel: both storage orders give the same panel, filled up with zeros") {
  for (int k : {1, lanes - 1, lanes, 2 * lanes + 3}) {
    for (int n : {1, lanes - 1, lanes, lanes + 1, 2 * lanes}) {
      std::vector<float> rows(k * n), columns(n * k);
      for (int p = 0; p < k; ++p) {
        for (int j = 0; j < n; ++j) rows[p * n + j] = columns[j * k + p] = float(1 + p * n + j);
      }
      const int pitch = packed_pitch<float, width>(n);
      std::vector<float> from_rows(k * pitch, -1), from_columns(k * pitch, -1), expected(k * pitch);
      for (int p = 0; p < k; ++p) {
        for (int j = 0; j < n; ++j) expected[p * pitch + j] = rows[p * n + j];
      }
      pack_panel_rows<width>(k, n, rows.data(), n, from_rows.data());
      pack_panel_columns<width>(k, n, columns.data(), k, from_columns.data());
      CHECK(from_rows == expected);
      CHECK(from_columns == expected);
    }
  }
}

TEST_CASE("multiply_tile: writes its valid columns only, adds or stores, and adds the bias") {
  constexpr int k = 5, rows = 4, ldc = 2 * lanes + 2;
  std::vector<float> a(rows * k), b(k * 2 * lanes), bias(2 * lanes);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = float(int(i % 7) - 3);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = float(int(i % 5) - 2);
  for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = float(i);
  for (int columns : {1, lanes, lanes + 1, 2 * lanes}) {
    for (bool add : {false, true}) {
      std::vector<float> c(rows * ldc, 1000.0f);
      const Target<float> to{c.data(), ldc, columns, add, bias.data()};
      multiply_tile<Left::rows, Right::packed, rows, 2, width>(k, a.data(), k, b.data(), 0, to);
      for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < ldc; ++j) {
          float expected = 1000.0f;  // small integers: every sum is exact
          if (j < columns) {
            expected = (add ? 1000.0f : 0.0f) + bias[j];
            for (int p = 0; p < k; ++p) expected += a[i * k + p] * b[p * 2 * lanes + j];
          }
          CHECK(c[i * ldc + j] == expected);
        }
      }
    }
  }
}
