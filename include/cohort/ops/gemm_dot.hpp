// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_dot.hpp: a block of a product of bf16 in vector registers (AVX512_BF16).
#pragma once
#include <cohort/ops/gemm_pairs.hpp>

#if defined(COHORT_HAS_PAIRS)
namespace cohort::detail {

/// Eight rows of 32 sums over `steps` tiles of k, from init (null: zero) to out.
///
/// Cost     16 x 2 dot products of pairs a step, 2 loads and 8 broadcasts.
[[gnu::noinline]] inline void multiply_dots(int steps, const char* a, std::ptrdiff_t pitch,
                                            std::ptrdiff_t step, const char* right, FloatBlock init,
                                            FloatBlock out) {
  __m512 sum[8][2];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const float* from = init.at ? init.at + i * (init.pitch / 4) : nullptr;
    sum[i][0] = from ? _mm512_loadu_ps(from) : _mm512_setzero_ps();
    sum[i][1] = from ? _mm512_loadu_ps(from + 16) : _mm512_setzero_ps();
  }
  for (int s = 0; s < steps; ++s, a += step, right += tile_pair_bytes) {
    for (int p = 0; p < 16; ++p) {
      const auto low = (__m512bh)_mm512_load_si512(right + p * 64);
      const auto high = (__m512bh)_mm512_load_si512(right + p * 64 + tile_bytes);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        int pair;
        std::memcpy(&pair, a + i * pitch + p * 4, sizeof pair);
        __m512i both = _mm512_set1_epi32(pair);
        __asm__("" : "+v"(both));  // clang 16 recurses for ever over a cast of a broadcast
        const auto left = (__m512bh)both;
        sum[i][0] = _mm512_dpbf16_ps(sum[i][0], left, low);
        sum[i][1] = _mm512_dpbf16_ps(sum[i][1], left, high);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    float* to = out.at + i * (out.pitch / 4);
    _mm512_storeu_ps(to, sum[i][0]);
    _mm512_storeu_ps(to + 16, sum[i][1]);
  }
}

/// A block of m <= 32 rows of 32 sums.
inline void multiply_block(int m, int steps, const LeftTiles& a, const char* right, FloatBlock init,
                           FloatBlock out) {
  const char* left = a.at;
  for (int i = 0; i < m; i += 8) {
    multiply_dots(steps, left, a.pitch, a.step, right, init, out);
    left += i == 8 ? a.below - 8 * a.pitch : 8 * a.pitch;
    if (init.at) init.at += 2 * init.pitch;  // eight rows; pitch is in bytes
    out.at += 2 * out.pitch;
  }
}

}  // namespace cohort::detail
#endif
