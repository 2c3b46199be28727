// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_dot_test.cpp: a block of sums in vector registers; empty without AVX512_BF16.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_dot.hpp>

#if defined(COHORT_HAS_PAIRS)
using namespace cohort;
using namespace cohort::detail;

namespace {

/// A block of small integers: every sum is exact.
struct Block {
  alignas(64) bf16 left[2 * 1024], right[2 * 1024];
  float expected[32 * 32];
  explicit Block(float init) {
    for (int i = 0; i < 2048; ++i) left[i] = bf16(float(i * 7 % 11 - 5));
    for (int i = 0; i < 2048; ++i) right[i] = bf16(float(i * 5 % 13 - 6));
    for (int i = 0; i < 32; ++i)
      for (int j = 0; j < 32; ++j) {
        float& sum = expected[i * 32 + j] = init;
        for (int p = 0; p < 64; ++p)
          sum += float(left[p / 32 * 1024 + i * 32 + p % 32]) *
                 float(right[p / 32 * 1024 + j / 16 * 512 + p % 32 / 2 * 32 + j % 16 * 2 + p % 2]);
      }
  }
  LeftTiles tiles() const {
    return {reinterpret_cast<const char*>(left), 64, tile_pair_bytes, tile_bytes};
  }
};

}  // namespace

TEST_CASE("multiply_block: small integers are summed exactly, from zero, a block or a row") {
  alignas(64) float init[32 * 32], out[32 * 32];
  for (float& x : init) x = 3;
  const FloatBlock starts[] = {{nullptr, 0}, {init, 128}, {init, 0}};
  for (const FloatBlock& start : starts) {
    const Block x(start.at ? 3.0f : 0.0f);
    multiply_block(32, 2, x.tiles(), reinterpret_cast<const char*>(x.right), start, {out, 128});
    for (int i = 0; i < 32 * 32; ++i) REQUIRE(out[i] == x.expected[i]);
  }
}
#endif
