// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/attention_tiles.hpp: tiles of a head in shared memory, and tensor-core products of them.
#pragma once
#include <cohort/device/cuda/launch.hpp>
#include <cohort/device/cuda/mma.hpp>
#include <cstddef>
#include <cstdint>

// Legend: a tile is some rows of one head, D features wide, 16 bits each. A chunk is 8 features, 16
// bytes. A warp owns 16 rows of the left factor and of the result; g = lane / 4, t = lane % 4.
namespace cohort::ops::kernels {

/// Where chunk c of row r begins in a tile, in elements: chunks of a row are permuted by the row, so
/// that 8 rows of one chunk lie in all 32 banks, whether read by ldmatrix or by rows.
template <int D> COHORT_DEVICE constexpr int tile_at(int row, int chunk) {
  static_assert(D % 64 == 0);
  return row * D + ((chunk ^ (row & 7)) << 3);
}

/// The same in bytes, for ldmatrix: chunk 2 pair + half, half 0 or 1, of row `row` + `further`, a multiple
/// of 8. pair and further are constants where it is called, so that four registers hold what depends on
/// the lane for a whole tile of 64 features.
template <int D>
COHORT_DEVICE constexpr unsigned tile_bytes(int row, int half, int pair, int further) {
  const auto lane = static_cast<unsigned>(2 * tile_at<D>(row, half));
  return (lane ^ static_cast<unsigned>(pair % 4 * 32)) +
         static_cast<unsigned>(pair / 4 * 128 + further * D * 2);
}

/// Starts the copy of Rows rows, the first of which is `from`, Stride elements apart; rows from `there`
/// on become zeros. All threads of the block take part.
template <int Rows, int D, std::ptrdiff_t Stride, int Threads, class Block, class T>
COHORT_DEVICE void copy_tile(const Block& block, std::uint16_t* tile, const T* from, int there) {
  constexpr int chunks = D / 8, step = Threads / chunks;
  static_assert(Threads % chunks == 0 && Rows % step == 0 && step % 8 == 0);
  const int first = block.thread() / chunks, chunk = block.thread() % chunks;
  from += first * Stride + chunk * 8;
  tile += tile_at<D>(first, chunk);
  COHORT_UNROLL
  for (int row = 0; row < Rows; row += step)
    cuda::cp_async<16>(tile + row * D, from + row * Stride, first + row < there);
}

/// Starts the copy of `Count` floats; zeros from `there` on.
template <int Count, class Block>
COHORT_DEVICE void copy_floats(const Block& block, float* to, const float* from, int there) {
  for (int i = block.thread(); i < Count; i += block.threads())
    cuda::cp_async<4>(to + i, i < there ? from + i : from, i < there);
}

/// The warp's 16 rows of a tile as left factor, 16 features from 16 k on.
template <int D, class Block>
COHORT_DEVICE void load_left(const Block& block, std::uint32_t (&a)[4], const std::uint16_t* tile,
                             int row, int k) {
  const int lane = block.lane();
  cuda::ldmatrix_x4(block, a, tile, tile_bytes<D>(lane % 16, lane / 16, k, row));
}

/// The left factor of scores: 16 rows of a tile, in registers if Held, else read at each use.
template <int D, bool Held> struct LeftRows {
  const std::uint16_t* tile;
  int row;
  std::uint32_t held[Held ? D / 16 : 1][4];

  template <class Block> COHORT_DEVICE void load(const Block& block) {
    if constexpr (Held) {
      COHORT_UNROLL
      for (int k = 0; k < D / 16; ++k) load_left<D>(block, held[k], tile, row, k);
    }
  }
  template <class Block>
  COHORT_DEVICE void part(const Block& block, std::uint32_t (&a)[4], int k) const {
    if constexpr (Held) {
      COHORT_UNROLL
      for (int i = 0; i < 4; ++i) a[i] = held[k][i];
    } else {
      load_left<D>(block, a, tile, row, k);
    }
  }
};

/// s[16, N] = left tile^T for each of Parts times 16 rows: queries times keys, summed over features.
template <class T, int Parts, int N, int D, bool Held, class Block>
COHORT_DEVICE void scores(const Block& block, float (&s)[Parts][N / 8][4],
                          const LeftRows<D, Held> (&left)[Parts], const std::uint16_t* tile) {
  const int lane = block.lane();
  COHORT_UNROLL
  for (int p = 0; p < Parts; ++p) {
    COHORT_UNROLL
    for (int n = 0; n < N / 8; ++n) {
      COHORT_UNROLL
      for (int i = 0; i < 4; ++i) s[p][n][i] = 0;
    }
  }
  COHORT_UNROLL
  for (int k = 0; k < D / 16; ++k) {
    std::uint32_t a[Parts][4];
    COHORT_UNROLL
    for (int p = 0; p < Parts; ++p) left[p].part(block, a[p], k);
    COHORT_UNROLL
    for (int n = 0; n < N / 16; ++n) {
      std::uint32_t b[4];
      const int row = lane / 16 * 8 + lane % 8;
      cuda::ldmatrix_x4(block, b, tile, tile_bytes<D>(row, lane / 8 % 2, k, 16 * n));
      COHORT_UNROLL
      for (int p = 0; p < Parts; ++p) {
        cuda::mma_16816<T>(block, s[p][2 * n], a[p], b[0], b[1]);
        cuda::mma_16816<T>(block, s[p][2 * n + 1], a[p], b[2], b[3]);
      }
    }
  }
}

/// o[16, D] += p[16, N] tile[N, D]: p is rounded to T.
template <class T, int Parts, int N, int D, class Block>
COHORT_DEVICE void accumulate(const Block& block, float (&o)[Parts][D / 8][4],
                              const float (&p)[Parts][N / 8][4], const std::uint16_t* tile) {
  const int lane = block.lane();
  COHORT_UNROLL
  for (int k = 0; k < N / 16; ++k) {
    std::uint32_t a[Parts][4];
    COHORT_UNROLL
    for (int q = 0; q < Parts; ++q) {
      COHORT_UNROLL
      for (int i = 0; i < 4; ++i) {
        const float(&pair)[4] = p[q][2 * k + i / 2];
        a[q][i] = cuda::pack2<T>(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
      }
    }
    COHORT_UNROLL
    for (int n = 0; n < D / 16; ++n) {
      std::uint32_t b[4];
      cuda::ldmatrix_x4_trans(block, b, tile, tile_bytes<D>(lane % 16, lane / 16, n, 16 * k));
      COHORT_UNROLL
      for (int q = 0; q < Parts; ++q) {
        cuda::mma_16816<T>(block, o[q][2 * n], a[q], b[0], b[1]);
        cuda::mma_16816<T>(block, o[q][2 * n + 1], a[q], b[2], b[3]);
      }
    }
  }
}

/// Writes the warp's o[16, D], row g times factor[0] and row g + 8 times factor[1], rounded to T, through
/// its 16 rows of `tile` so that each lane writes 16 bytes; rows from `there` on are left alone.
template <class T, int D, class Block>
COHORT_DEVICE void store_rows(const Block& block, const float (&o)[D / 8][4],
                              const float (&factor)[2], std::uint16_t* tile, int row, T* to,
                              std::ptrdiff_t stride, int there) {
  struct alignas(16) Chunk {
    std::uint32_t words[4];
  };
  const int lane = block.lane(), g = lane / 4, t = lane % 4;
  block.sync_warp();  // all lanes have read what was there
  COHORT_UNROLL
  for (int n = 0; n < D / 8; ++n) {
    COHORT_UNROLL
    for (int h = 0; h < 2; ++h) {
      const std::uint32_t pair =
          cuda::pack2<T>(o[n][2 * h] * factor[h], o[n][2 * h + 1] * factor[h]);
      std::uint16_t* at = tile + tile_at<D>(row + g + 8 * h, n) + 2 * t;
      *reinterpret_cast<std::uint32_t*>(at) = pair;
    }
  }
  block.sync_warp();
  constexpr int chunks = D / 8;
  for (int i = lane; i < 16 * chunks; i += cuda::warp_size) {
    const int r = i / chunks, chunk = i % chunks;
    if (r < there)
      *reinterpret_cast<Chunk*>(to + r * stride + chunk * 8) =
          *reinterpret_cast<const Chunk*>(tile + tile_at<D>(row + r, chunk));
  }
}

/// Combines f over the four lanes that hold one row.
template <class Block> COHORT_DEVICE float row_max(const Block& block, float x) {
  for (int mask = 1; mask < 4; mask *= 2) {
    const float other = block.shuffle_xor(x, mask);
    x = x < other ? other : x;
  }
  return x;
}
template <class Block> COHORT_DEVICE float row_sum(const Block& block, float x) {
  for (int mask = 1; mask < 4; mask *= 2) x += block.shuffle_xor(x, mask);
  return x;
}

/// One head of one sample, and the tile of it that a block works on.
struct HeadTile {
  int sample, head, first;  // first: the tile's first row

  /// Blocks of one head are neighbours, so that they find its rows in L2; `last_first`: the long tiles
  /// of a causal head begin first.
  COHORT_DEVICE static HeadTile of(int block, int heads, int tokens, int rows, bool last_first) {
    const int tiles = (tokens + rows - 1) / rows, of_head = block % tiles, at = block / tiles;
    return {at / heads, at % heads, (last_first ? tiles - 1 - of_head : of_head) * rows};
  }
  static int count(int samples, int heads, int tokens, int rows) {
    return samples * heads * ((tokens + rows - 1) / rows);
  }
};

}  // namespace cohort::ops::kernels
