// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/attention_backward.hpp: the gradients of attention on tensor cores, in a fixed order.
#pragma once
#include <cmath>
#include <cohort/ops/cuda/attention_tiles.hpp>
#include <limits>

// Legend: p = exp(scale q k - lse), dp = dy v, ds = p (dp - delta), delta = sum of dy y of a row.
// dq = scale ds k, dk = scale ds^T q, dv = p^T dy.
namespace cohort::ops::kernels {

/// What both passes over the scores share: a block owns rows of two operands (queries and dy, or keys and
/// v), which stay, and meets the other two in tiles of Met rows, the next of which is on its way. A warp
/// owns Parts times 16 rows: what it reads of a tile serves all of them. Registers limit both numbers.
template <class H, int Parts, int Met> struct AttentionPass {
  static constexpr int D = H::head_dim;
  static constexpr int warps = 4, threads = warps * cuda::warp_size, blocks_per_processor = 2;
  static constexpr int parts = Parts, rows = warps * parts * 16, met = Met;
  static constexpr std::ptrdiff_t stride = H::row, y_stride = H::width;
  using Scores = float[parts][met / 8][4];
  using Sums = float[parts][D / 8][4];
  using Left = LeftRows<D, false>;

  struct Tiles {
    alignas(128) std::uint16_t own[2][rows * D];
    std::uint16_t others[2][2][met * D];  // [the one in use, the one on its way][first, second]
  };
  COHORT_DEVICE static float scale() { return 1 / std::sqrt(float(D)); }
  static constexpr float log2_of_e = 1.4426950408889634f;
  /// exp(scale s - lse), given lse times log2 e.
  COHORT_DEVICE static float probability(float s, float lse_2) {
    return cuda::exp2_fast(std::fma(s, log2_of_e * scale(), -lse_2));
  }

  /// The first row of a part of the warp, in the block's tile.
  template <class Block> COHORT_DEVICE static int row_of(const Block& block, int part) {
    return (block.warp() * parts + part) * 16;
  }
  /// s = own times others^T; the warp's rows of own.
  template <class T, class Block>
  COHORT_DEVICE static void multiply(const Block& block, Scores& s, const std::uint16_t* own,
                                     const std::uint16_t* others) {
    Left left[parts];
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) left[p].tile = own, left[p].row = row_of(block, p);
    scores<T, parts, met>(block, s, left, others);
  }
  /// f(element of s, the same of o, part, half, column) for each element of this lane; half: row g or g + 8.
  template <class Block, class F>
  COHORT_DEVICE static void for_both(const Block& block, Scores& s, const Scores& o, F f) {
    const int t = block.lane() % 4;
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) {
      COHORT_UNROLL
      for (int n = 0; n < met / 8; ++n) {
        COHORT_UNROLL
        for (int i = 0; i < 4; ++i) f(s[p][n][i], o[p][n][i], p, i / 2, 8 * n + 2 * t + i % 2);
      }
    }
  }
  /// f(element, part, half, row of the tile, column).
  template <class Block, class F>
  COHORT_DEVICE static void for_each(const Block& block, Scores& s, F f) {
    const int g = block.lane() / 4, t = block.lane() % 4;
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) {
      COHORT_UNROLL
      for (int n = 0; n < met / 8; ++n) {
        COHORT_UNROLL
        for (int i = 0; i < 4; ++i)
          f(s[p][n][i], p, i / 2, row_of(block, p) + g + i / 2 * 8, 8 * n + 2 * t + i % 2);
      }
    }
  }
  COHORT_DEVICE static void clear(Sums& o) {
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) {
      COHORT_UNROLL
      for (int n = 0; n < D / 8; ++n) {
        COHORT_UNROLL
        for (int i = 0; i < 4; ++i) o[p][n][i] = 0;
      }
    }
  }
  /// Writes the warp's rows, times `factor`, through its rows of `own`.
  template <class T, class Block>
  COHORT_DEVICE static void store(const Block& block, const Sums& o, float factor,
                                  std::uint16_t* own, T* to, int there) {
    const float factors[2] = {factor, factor};
    COHORT_UNROLL
    for (int p = 0; p < parts; ++p) {
      const int row = row_of(block, p);
      store_rows<T, D>(block, o[p], factors, own, row, to + row * stride, stride, there - row);
    }
  }
};

/// dk and dv of one tile of keys of one head, from every query that sees them: of all heads that share it.
///
/// Shapes   as ops::attention_backward; delta[samples, heads, tokens]. Heads of D = 64 or 128.
/// Units    T: bf16 or fp16. Products are summed in fp32; p and ds are rounded to T for theirs.
/// Cost     8 D operations a score. Causal skips queries before the tile's first key.
/// Laws     queries are added in order of their heads and tiles, whatever the GPU: the bits repeat.
template <class H, bool Causal, class T>
struct TiledAttentionKeyGradients : AttentionPass<H, H::head_dim <= 64 ? 2 : 1, 32> {
  using Pass = AttentionPass<H, H::head_dim <= 64 ? 2 : 1, 32>;
  using Pass::D, Pass::rows, Pass::met, Pass::threads, Pass::stride, Pass::y_stride;
  using typename Pass::Scores, typename Pass::Sums;
  struct Shared : Pass::Tiles {
    float lse[2][met], delta[2][met];
  };

  int tokens;
  const T *qkv, *dy;
  const float *lse, *delta;
  T* dqkv;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const HeadTile tile = HeadTile::of(block.index(), H::kv_heads, tokens, rows, false);
    const std::ptrdiff_t row = (std::ptrdiff_t{tile.sample} * tokens + tile.first) * stride,
                         k = row + H::k(tile.head), v = row + H::v(tile.head);
    const int there = tokens - tile.first;
    copy_tile<rows, D, stride, threads>(block, shared.own[0], qkv + k, there);
    copy_tile<rows, D, stride, threads>(block, shared.own[1], qkv + v, there);
    const int begin = Causal ? tile.first : 0;  // a tile of queries, too, begins there
    const int end = (tile.head + 1) * H::group;
    Queries met_now{tile.head * H::group, begin};
    fetch(block, shared, 0, tile.sample, met_now, end);
    Sums dk, dv;
    Pass::clear(dk), Pass::clear(dv);
    for (int now = 0; met_now.there(tokens, end); now ^= 1) {
      const Queries next = met_now.next(tokens, begin);
      fetch(block, shared, now ^ 1, tile.sample, next, end);
      cuda::cp_async_wait<1>();
      block.sync();
      visit(block, shared, now, met_now.first - tile.first, dk, dv);
      block.sync();
      met_now = next;
    }
    Pass::store(block, dk, Pass::scale(), shared.own[0], dqkv + k, there);
    Pass::store(block, dv, 1.0f, shared.own[1], dqkv + v, there);
  }

 private:
  static_assert(rows % met == 0);

  /// A tile of queries; those of a shared key head's query heads come one head after the other. Of one head:
  /// the code without a loop over heads.
  struct Queries {
    int head, first;

    COHORT_DEVICE bool there(int tokens, int end) const {
      return H::group == 1 ? first < tokens : head < end;
    }
    COHORT_DEVICE Queries next(int tokens, int begin) const {
      if (H::group == 1 || first + met < tokens) return {head, first + met};
      return {head + 1, begin};
    }
  };

  template <class Block>
  COHORT_DEVICE void fetch(const Block& block, Shared& shared, int to, int sample, const Queries& q,
                           int end) const {
    if (q.there(tokens, end)) {
      const std::ptrdiff_t row = std::ptrdiff_t{sample} * tokens + q.first;
      const std::ptrdiff_t of_head =
          (std::ptrdiff_t{sample} * H::heads + q.head) * tokens + q.first;
      const int there = tokens - q.first;
      copy_tile<met, D, stride, threads>(block, shared.others[to][0],
                                         qkv + row * stride + H::q(q.head), there);
      copy_tile<met, D, y_stride, threads>(block, shared.others[to][1],
                                           dy + row * y_stride + q.head * D, there);
      copy_floats<met>(block, shared.lse[to], lse + of_head, there);
      copy_floats<met>(block, shared.delta[to], delta + of_head, there);
    }
    cuda::cp_async_commit();
  }
  /// query: of the tile met, from the first of the tile owned. Queries that do not exist have q = dy =
  /// lse = delta = 0, so that they add nothing.
  template <class Block>
  COHORT_DEVICE void visit(const Block& block, const Shared& shared, int now, int query, Sums& dk,
                           Sums& dv) const {
    if (Causal && query + met <= Pass::row_of(block, 0)) return;  // the warp's keys come later
    Scores p, ds;
    Pass::template multiply<T>(block, p, shared.own[0], shared.others[now][0]);
    if (Causal && query < rows)
      Pass::for_each(block, p, [&](float& s, int, int, int row, int column) {
        if (row > query + column) s = -std::numeric_limits<float>::infinity();
      });
    Pass::for_each(block, p, [&](float& s, int, int, int, int column) {
      s = Pass::probability(s, shared.lse[now][column] * Pass::log2_of_e);
    });
    accumulate<T, Pass::parts, met, D>(block, dv, p, shared.others[now][1]);
    Pass::template multiply<T>(block, ds, shared.own[1], shared.others[now][1]);
    Pass::for_both(block, ds, p, [&](float& dp, float e, int, int, int column) {
      dp = e * (dp - shared.delta[now][column]);
    });
    accumulate<T, Pass::parts, met, D>(block, dk, ds, shared.others[now][0]);
  }
};

/// dq of one tile of queries of one head, from every key that they see.
///
/// Shapes, Units, Laws   as TiledAttentionKeyGradients.
/// Cost     6 D operations a score: scores and dp are computed again, which needs neither atomics nor
///          memory for parts of dq.
template <class H, bool Causal, class T>
struct TiledAttentionQueryGradients : AttentionPass<H, 2, H::head_dim <= 64 ? 64 : 32> {
  using Pass = AttentionPass<H, 2, H::head_dim <= 64 ? 64 : 32>;
  using Shared = typename Pass::Tiles;
  using Pass::D, Pass::rows, Pass::met, Pass::threads, Pass::stride, Pass::y_stride;
  using typename Pass::Scores, typename Pass::Sums;
  using OfRows = float[Pass::parts][2];  // of rows g and g + 8 of each part

  int tokens;
  const T *qkv, *dy;
  const float *lse, *delta;
  T* dqkv;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const HeadTile tile = HeadTile::of(block.index(), H::heads, tokens, rows, Causal);
    const std::ptrdiff_t first = std::ptrdiff_t{tile.sample} * tokens, row = first + tile.first;
    const std::ptrdiff_t q = row * stride + H::q(tile.head);
    const int there = tokens - tile.first, kv = tile.head / H::group;
    copy_tile<rows, D, stride, threads>(block, shared.own[0], qkv + q, there);
    copy_tile<rows, D, y_stride, threads>(block, shared.own[1], dy + row * y_stride + tile.head * D,
                                          there);
    const T *k = qkv + first * stride + H::k(kv), *v = qkv + first * stride + H::v(kv);
    const int end = Causal && rows < there ? tile.first + rows : tokens;
    fetch(block, shared, 0, k, v, 0, end);
    const std::ptrdiff_t of_head = (std::ptrdiff_t{tile.sample} * H::heads + tile.head) * tokens;
    OfRows lse_2, deltas;
    load(block, lse_2, lse + of_head + tile.first, there, Pass::log2_of_e);
    load(block, deltas, delta + of_head + tile.first, there, 1);
    Sums dq;
    Pass::clear(dq);
    for (int key = 0, now = 0; key < end; key += met, now ^= 1) {
      fetch(block, shared, now ^ 1, k, v, key + met, end);
      cuda::cp_async_wait<1>();
      block.sync();
      visit(block, shared, now, key - tile.first, there, lse_2, deltas, dq);
      block.sync();
    }
    Pass::store(block, dq, Pass::scale(), shared.own[0], dqkv + q, there);
  }

 private:
  template <class Block>
  COHORT_DEVICE static void load(const Block& block, OfRows& to, const float* from, int there,
                                 float factor) {
    COHORT_UNROLL
    for (int p = 0; p < Pass::parts; ++p) {
      COHORT_UNROLL
      for (int h = 0; h < 2; ++h) {
        const int i = Pass::row_of(block, p) + block.lane() / 4 + 8 * h;
        to[p][h] = i < there ? from[i] * factor : 0;
      }
    }
  }
  template <class Block>
  COHORT_DEVICE void fetch(const Block& block, Shared& shared, int to, const T* k, const T* v,
                           int key, int end) const {
    if (key < end) {
      const std::ptrdiff_t at = key * stride;
      copy_tile<met, D, stride, threads>(block, shared.others[to][0], k + at, tokens - key);
      copy_tile<met, D, stride, threads>(block, shared.others[to][1], v + at, tokens - key);
    }
    cuda::cp_async_commit();
  }
  /// key: of the tile met, and there: the last row's end, both from the first row of the tile owned.
  template <class Block>
  COHORT_DEVICE void visit(const Block& block, const Shared& shared, int now, int key, int there,
                           const OfRows& lse_2, const OfRows& deltas, Sums& dq) const {
    if (Causal && key >= Pass::row_of(block, Pass::parts))
      return;  // the warp's queries come before
    Scores p, ds;
    Pass::template multiply<T>(block, p, shared.own[0], shared.others[now][0]);
    Pass::template multiply<T>(block, ds, shared.own[1], shared.others[now][1]);
    if (key + met > there || (Causal && key + met > Pass::row_of(block, 0)))
      Pass::for_each(block, p, [&](float& s, int, int, int row, int column) {
        if (key + column >= there || (Causal && key + column > row))
          s = -std::numeric_limits<float>::infinity();
      });
    Pass::for_both(block, ds, p, [&](float& dp, float s, int part, int half, int) {
      dp = Pass::probability(s, lse_2[part][half]) * (dp - deltas[part][half]);
    });
    accumulate<T, Pass::parts, met, D>(block, dq, ds, shared.others[now][0]);
  }
};

}  // namespace cohort::ops::kernels
