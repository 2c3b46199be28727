// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_pairs.hpp: bf16 matrices as tiles of pairs, as dot products want them: packing.
#pragma once
#include <cohort/core/float16.hpp>
#include <cohort/ops/gemm_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__AVX512BF16__) && defined(__AVX512BW__) && !defined(__CUDACC__)
#define COHORT_HAS_PAIRS
#include <immintrin.h>

namespace cohort::detail {

/// Tiles of 16 x 32 numbers, 1 KiB. A left tile holds 16 rows of op(a), 32 steps of k each. A right
/// tile holds 16 pairs of steps; a pair's row is (step 2r, step 2r + 1) of 16 columns of op(b).
/// Two tiles side by side are packed one after the other: 32 rows or columns, then the next 32 steps.
/// Whatever lies beyond the matrix is zero, and is never read.
inline constexpr int tile_rows = 16, tile_steps = 32;
inline constexpr std::ptrdiff_t tile_bytes = 1024, tile_pair_bytes = 2 * tile_bytes;

/// The first n of 32 lanes.
inline __mmask32 first_lanes(std::ptrdiff_t n) {
  return n >= 32 ? 0xffffffffu : n <= 0 ? 0u : (1u << n) - 1;
}

/// n numbers from a row of a matrix, then zeros.
inline __m512i load_numbers(const bf16* from, std::ptrdiff_t n) {
  return _mm512_maskz_loadu_epi16(first_lanes(n), from);
}

/// Writes a 16 x 16 block of pairs, transposed, as one tile. Row r goes to row r of the tile.
[[gnu::always_inline]] inline void store_transposed(Vector<float, 64> (&block)[16], char* to) {
  Vector<float, 64>::transpose(block);
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r) _mm512_store_ps(to + r * 64, block[r].value);
}

/// Left tiles where they lie: in a, or packed.
struct LeftTiles {
  const char* at;
  std::ptrdiff_t pitch;  // bytes from row to row
  std::ptrdiff_t step;   // bytes from tile to tile along k
  std::ptrdiff_t below;  // bytes to the tile of the next 16 rows
};

/// 32 x 32 floats in memory: where tiles start from or go to.
struct FloatBlock {
  float* at;
  std::ptrdiff_t pitch;  // bytes; 0: one row for all
  float* below() const { return at + pitch / 4 * tile_rows; }
};

/// Sums of one block on their way to c: where they lie, and how much of them is left to write.
template <class O> struct Sums {
  const float* from = nullptr;  // rows of 32
  O* to = nullptr;
  std::ptrdiff_t ldc = 0;
  int rows = 0, columns = 0;

  /// Writes the next `count` rows, if there are as many.
  [[gnu::always_inline]] void write(int count) {
    if (rows == 0) return;
    const int now = count < rows ? count : rows;
    const __mmask32 valid = first_lanes(columns);
    const float* f = from;
    O* t = to;
    for (int r = 0; r < now; ++r, f += 32, t += ldc) {
      const __m512 low = _mm512_load_ps(f), high = _mm512_load_ps(f + 16);
      if constexpr (std::is_same_v<O, float>) {
        _mm512_mask_storeu_ps(t, static_cast<__mmask16>(valid), low);
        _mm512_mask_storeu_ps(t + 16, static_cast<__mmask16>(valid >> 16), high);
      } else {
        // Sums of tiles are never denormal, so the instruction rounds them as bf16(float) does.
        _mm512_mask_storeu_epi16(t, valid, (__m512i)_mm512_cvtne2ps_pbh(high, low));
      }
    }
    rows -= now, from = f, to = t;
  }
};

/// Left tiles of up to 32 rows of a row-major a.
inline void pack_left_rows(int m, int k, const bf16* a, std::ptrdiff_t lda, char* to) {
  for (int p = 0; p < k; p += tile_steps, to += tile_pair_bytes) {
    for (int i = 0; i < 2 * tile_rows; ++i)
      _mm512_store_si512(to + i * 64,
                         i < m ? load_numbers(a + i * lda + p, k - p) : _mm512_setzero_si512());
  }
}

/// Half of the two left tiles of 32 steps of k, where a holds the columns of op(a) as rows: rows 0-3,
/// 8-11, 16-19, 24-27 of m <= 32 (High: the others), as the processor interleaves them.
template <bool High>
[[gnu::noinline]] inline void pack_left_half(int m, int k, const bf16* a, std::ptrdiff_t lda,
                                             char* to) {
  Vector<float, 64> block[16];
  const auto interleave = [](__m512i even, __m512i odd) {
    return (__m512)(High ? _mm512_unpackhi_epi16(even, odd) : _mm512_unpacklo_epi16(even, odd));
  };
  if (m == 32 && k >= 32) {
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r)
      block[r].value = interleave(_mm512_loadu_si512(a + 2 * r * lda),
                                  _mm512_loadu_si512(a + (2 * r + 1) * lda));
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r)
      block[r].value = interleave(load_numbers(a + 2 * r * lda, 2 * r < k ? m : 0),
                                  load_numbers(a + (2 * r + 1) * lda, 2 * r + 1 < k ? m : 0));
  }
  Vector<float, 64>::transpose(block);
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r)
    _mm512_store_ps(to + (r / 4 * 8 + r % 4 + (High ? 4 : 0)) * 64, block[r].value);
}

/// Left tiles of `m` rows of op(a), whose columns a holds as rows, 32 rows after the other: packed a
/// half at a time.
struct LeftPacking {
  int m = 0, k = 0;
  const bf16* a = nullptr;
  std::ptrdiff_t lda = 0;
  char* to = nullptr;
  int p = 0;
  bool high = false;

  /// The next half of 32 steps.
  [[gnu::always_inline]] void half() {
    if (m <= 0) return;
    const int rows = m < 32 ? m : 32;
    const bf16* from = a + p * lda;
    if (!high) {
      pack_left_half<false>(rows, k - p, from, lda, to);
    } else {
      pack_left_half<true>(rows, k - p, from, lda, to);
      to += tile_pair_bytes;
      if ((p += tile_steps) >= k) p = 0, a += 32, m -= 32;
    }
    high = !high;
  }
  void rest() {
    while (m > 0) half();
  }
};

/// Right tiles of up to 32 columns of a row-major b.
inline void pack_right_rows(int k, int n, const bf16* b, std::ptrdiff_t ldb, char* to) {
  const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
  const __m512i second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
  for (int p = 0; p < k; p += tile_steps, to += tile_pair_bytes, b += tile_steps * ldb) {
    for (int r = 0; r < 16; ++r) {
      const int left = k - p - 2 * r;
      const __m512i even = load_numbers(b + 2 * r * ldb, left > 0 ? n : 0);
      const __m512i odd = load_numbers(b + (2 * r + 1) * ldb, left > 1 ? n : 0);
      const __m512i low = _mm512_unpacklo_epi16(even, odd);
      const __m512i high = _mm512_unpackhi_epi16(even, odd);
      _mm512_store_si512(to + r * 64, _mm512_permutex2var_epi64(low, first, high));
      _mm512_store_si512(to + r * 64 + tile_bytes, _mm512_permutex2var_epi64(low, second, high));
    }
  }
}

/// Right tiles of up to 32 columns of op(b), which b holds as rows.
inline void pack_right_columns(int k, int n, const bf16* b, std::ptrdiff_t ldb, char* to) {
  for (int p = 0; p < k; p += tile_steps, to += tile_pair_bytes) {
    for (int half = 0; half < 2; ++half) {
      Vector<float, 64> block[16];
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r) {
        const int j = half * 16 + r;
        block[r].value = (__m512)load_numbers(b + j * ldb + p, j < n ? k - p : 0);
      }
      store_transposed(block, to + half * tile_bytes);
    }
  }
}

}  // namespace cohort::detail
#endif
