// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_pairs_test.cpp: laws of packing bf16 into tiles; without AVX512_BF16, one test that says so.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_pairs.hpp>
#include <cohort/ops/gemm_tiled.hpp>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#if defined(COHORT_HAS_PAIRS)
using namespace cohort;
using namespace cohort::detail;

namespace {

struct alignas(64) Buffer {
  std::uint16_t numbers[4 * 1024];
  Buffer() {
    for (auto& x : numbers) x = 0xffff;
  }
  char* bytes() { return reinterpret_cast<char*>(numbers); }
};

/// One number for each place of a rows x columns matrix.
std::vector<bf16> numbered(int rows, int columns) {
  std::vector<bf16> out;
  for (int i = 0; i < rows * columns; ++i)
    out.push_back(bf16::from_bits(static_cast<std::uint16_t>(i + 1)));
  return out;
}

}  // namespace

TEST_CASE("pack_left: a number of row i and step p is in row i of its tile; beyond are zeros") {
  for (int m : {1, 15, 16, 31, 32})
    for (int k : {1, 2, 31, 32, 33, 63, 64}) {
      const auto rows = numbered(m, k);
      std::vector<bf16> columns(rows.size());
      for (int i = 0; i < m; ++i)
        for (int p = 0; p < k; ++p) columns[p * m + i] = rows[i * k + p];
      Buffer from_rows, from_columns;
      pack_left_rows(m, k, rows.data(), k, from_rows.bytes());
      LeftPacking{m, k, columns.data(), m, from_columns.bytes()}.rest();
      for (int p = 0; p < (k + 31) / 32 * 32; ++p)
        for (int i = 0; i < 32; ++i) {
          const int at = p / 32 * 1024 + i * 32 + p % 32;
          const int expected = i < m && p < k ? i * k + p + 1 : 0;
          REQUIRE(from_rows.numbers[at] == expected);
          REQUIRE(from_columns.numbers[at] == expected);
        }
    }
}

TEST_CASE("pack_right: a number of step p and column j is half of pair p / 2; beyond are zeros") {
  for (int n : {1, 15, 16, 31, 32})
    for (int k : {1, 2, 31, 32, 33, 63, 64}) {
      const auto rows = numbered(k, n);
      std::vector<bf16> columns(rows.size());
      for (int p = 0; p < k; ++p)
        for (int j = 0; j < n; ++j) columns[j * k + p] = rows[p * n + j];
      Buffer from_rows, from_columns;
      pack_right_rows(k, n, rows.data(), n, from_rows.bytes());
      pack_right_columns(k, n, columns.data(), k, from_columns.bytes());
      for (int p = 0; p < (k + 31) / 32 * 32; ++p)
        for (int j = 0; j < 32; ++j) {
          const int at = p / 32 * 1024 + j / 16 * 512 + p % 32 / 2 * 32 + j % 16 * 2 + p % 2;
          const int expected = j < n && p < k ? p * n + j + 1 : 0;
          REQUIRE(from_rows.numbers[at] == expected);
          REQUIRE(from_columns.numbers[at] == expected);
        }
    }
}

TEST_CASE("Sums: rounds as bf16(float), writes its rows and columns only") {
  std::mt19937 random(1);
  alignas(64) float from[32 * 32];
  for (int round = 0; round < 500; ++round) {
    for (float& x : from) {
      std::uint32_t bits = random();
      if ((bits & 0x7f800000) == 0) bits = 0;              // denormals never come out of a product
      if (round % 2) bits = (bits & 0xffff0000) | 0x8000;  // ties
      x = std::bit_cast<float>(bits);
    }
    const int rows = 1 + round % 32, columns = 1 + round * 7 % 32;
    std::vector<bf16> to(33 * 40, bf16::from_bits(0x1234));
    Sums<bf16> sums{from, to.data(), 40, rows, columns};
    sums.write(5);
    sums.write(32);
    for (int i = 0; i < 33; ++i)
      for (int j = 0; j < 40; ++j) {
        const bool inside = i < rows && j < columns;
        REQUIRE(to[i * 40 + j].bits == (inside ? bf16(from[i * 32 + j]).bits : 0x1234));
      }
  }
}
#else
TEST_CASE("gemm_pairs: this target has no dot products of pairs, and products of bf16 use none") {
  CHECK(cohort::detail::widest_dot == cohort::detail::Dot::widened);
}
#endif
