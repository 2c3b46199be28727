// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_block.hpp: packed bf16 tiles of small integers, and the sums of their products.
#pragma once
#include <cohort/ops/gemm_pairs.hpp>

#if defined(COHORT_HAS_PAIRS)
namespace cohort::test {

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
  detail::LeftTiles tiles() const {
    return {reinterpret_cast<const char*>(left), 64, detail::tile_pair_bytes, detail::tile_bytes};
  }
};

}  // namespace cohort::test
#endif
