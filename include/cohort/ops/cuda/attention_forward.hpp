// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/attention_forward.hpp: attention on tensor cores, a block of queries at a time.
#pragma once
#include <cmath>
#include <cohort/ops/cuda/attention_tiles.hpp>
#include <limits>

namespace cohort::ops::kernels {

/// y and lse of one tile of queries of one head: scores of 64 keys at a time, a running maximum and sum,
/// so that scores never leave the registers.
///
/// Shapes   as ops::attention_forward; heads of D = 64 or 128. q, k and v start on 16 bytes.
/// Units    T: bf16 or fp16. Products are summed in fp32; the probabilities are rounded to T, relative
///          to the row's running maximum, for their product with v, and summed before that.
/// Cost     4 D operations a score. The copy of v runs behind the product with k, and that of the next
///          k behind the product with v; Causal skips keys beyond the tile's last query.
/// Laws     a row's bits depend on its own sample only; with Causal, on its own and earlier tokens only.
/// Source   Dao 2023, arXiv:2307.08691, algorithm 1.
template <class H, bool Causal, class T> struct TiledAttentionForward {
  static constexpr int D = H::head_dim;
  static constexpr int warps = 4, threads = warps * cuda::warp_size, blocks_per_processor = 2;
  static constexpr int parts = 2;  // times 16 rows a warp: each chunk of k and v read serves both
  static constexpr int rows = warps * parts * 16, keys = 64;
  struct Shared {
    alignas(128) std::uint16_t q[rows * D], k[keys * D], v[keys * D];
  };
  using Left = LeftRows<D, D <= 64>;
  /// What a warp knows of its rows so far; of each pair, row g and row g + 8.
  struct Rows {
    float o[parts][D / 8][4];
    float top[parts][2], sum[parts][2];
  };

  int tokens;
  const T* qkv;
  T* y;
  float* lse;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const HeadTile tile = HeadTile::of(block.index(), H::heads, tokens, rows, Causal);
    constexpr std::ptrdiff_t stride = H::row;
    const T* x = qkv + std::ptrdiff_t{tile.sample} * tokens * stride;
    const int kv = tile.head / H::group;
    const T *q = x + H::q(tile.head), *k = x + H::k(kv), *v = x + H::v(kv);
    const int own = tile.first + block.warp() * parts * 16;  // the warp's first query
    const int end = Causal && tile.first + rows < tokens ? tile.first + rows : tokens;
    copy_tile<rows, D, stride, threads>(block, shared.q, q + tile.first * stride,
                                        tokens - tile.first);
    copy_tile<keys, D, stride, threads>(block, shared.k, k, tokens);
    cuda::cp_async_commit();
    Rows r;
    begin(r);
    Left left[parts];
    for (int key = 0; key < end; key += keys) {
      cuda::cp_async_wait<0>();
      block.sync();  // k is there, and every warp has done with v
      copy_tile<keys, D, stride, threads>(block, shared.v, v + key * stride, tokens - key);
      cuda::cp_async_commit();
      if (key == 0) find_queries(block, left, shared.q);
      float s[parts][keys / 8][4];
      scores<T, parts, keys>(block, s, left, shared.k);
      cuda::cp_async_wait<0>();
      block.sync();  // v is there, and every warp has done with k
      if (key + keys < end) {
        copy_tile<keys, D, stride, threads>(block, shared.k, k + (key + keys) * stride,
                                            tokens - key - keys);
        cuda::cp_async_commit();
      }
      if (key + keys > tokens || (Causal && key + keys > own)) hide(block, s, key, own);
      soften(block, s, r);
      accumulate<T, parts, keys, D>(block, r.o, s, shared.v);
    }
    finish(block, shared, r, tile, own);
  }

 private:
  COHORT_DEVICE static float scale() { return float(1.4426950408889634) / std::sqrt(float(D)); }

  COHORT_DEVICE static void begin(Rows& r) {
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) {
      COHORT_UNROLL
      for (int n = 0; n < D / 8; ++n) {
        COHORT_UNROLL
        for (int i = 0; i < 4; ++i) r.o[p][n][i] = 0;
      }
      COHORT_UNROLL
      for (int h = 0; h < 2; ++h) {
        r.top[p][h] = -std::numeric_limits<float>::infinity();
        r.sum[p][h] = 0;
      }
    }
  }
  template <class Block>
  COHORT_DEVICE static void find_queries(const Block& block, Left (&left)[parts],
                                         const std::uint16_t* q) {
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) {
      left[p].tile = q;
      left[p].row = (block.warp() * parts + p) * 16;
      left[p].load(block);
    }
  }
  /// Keys that a query must not see, or that do not exist, get the score minus infinity.
  template <class Block>
  COHORT_DEVICE void hide(const Block& block, float (&s)[parts][keys / 8][4], int key,
                          int own) const {
    const int g = block.lane() / 4, t = block.lane() % 4;
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) {
      COHORT_UNROLL
      for (int n = 0; n < keys / 8; ++n) {
        COHORT_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int j = key + 8 * n + 2 * t + i % 2, row = own + 16 * p + g + i / 2 * 8;
          if (j >= tokens || (Causal && j > row))
            s[p][n][i] = -std::numeric_limits<float>::infinity();
        }
      }
    }
  }
  /// Scores become exp(scale (s - top)); what was summed under an earlier maximum is scaled to it.
  template <class Block>
  COHORT_DEVICE static void soften(const Block& block, float (&s)[parts][keys / 8][4], Rows& r) {
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) {
      COHORT_UNROLL
      for (int h = 0; h < 2; ++h) {
        float top = r.top[p][h];
        COHORT_UNROLL
        for (int n = 0; n < keys / 8; ++n)
          top = std::fmax(top, std::fmax(s[p][n][2 * h], s[p][n][2 * h + 1]));
        top = row_max(block, top);
        const float shift = -top * scale(),
                    before = cuda::exp2_fast(std::fma(r.top[p][h], scale(), shift));
        float sum = r.sum[p][h] * before;
        COHORT_UNROLL
        for (int n = 0; n < keys / 8; ++n) {
          COHORT_UNROLL
          for (int i = 2 * h; i < 2 * h + 2; ++i)
            sum += s[p][n][i] = cuda::exp2_fast(std::fma(s[p][n][i], scale(), shift));
        }
        COHORT_UNROLL
        for (int n = 0; n < D / 8; ++n) {
          r.o[p][n][2 * h] *= before;
          r.o[p][n][2 * h + 1] *= before;
        }
        r.top[p][h] = top;
        r.sum[p][h] = sum;
      }
    }
  }
  template <class Block>
  COHORT_DEVICE void finish(const Block& block, Shared& shared, const Rows& r, const HeadTile& tile,
                            int own) const {
    const std::ptrdiff_t at = std::ptrdiff_t{tile.sample} * H::heads + tile.head;
    constexpr std::ptrdiff_t stride = H::width;
    T* out = y + std::ptrdiff_t{tile.sample} * tokens * stride + tile.head * D;
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) {
      const int first = own + 16 * p;
      float inverse[2];
      COHORT_UNROLL
      for (int h = 0; h < 2; ++h) {
        const float sum = row_sum(block, r.sum[p][h]);
        const int row = first + block.lane() / 4 + 8 * h;
        inverse[h] = 1 / sum;
        if (block.lane() % 4 == 0 && row < tokens)
          lse[at * tokens + row] = std::fma(r.top[p][h], 1 / std::sqrt(float(D)), std::log(sum));
      }
      store_rows<T, D>(block, r.o[p], inverse, shared.q, (block.warp() * parts + p) * 16,
                       out + first * stride, stride, tokens - first);
    }
  }
};

}  // namespace cohort::ops::kernels
