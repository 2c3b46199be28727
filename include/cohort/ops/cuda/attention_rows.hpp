// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/attention_rows.hpp: attention of any head size and type, a warp a row.
#pragma once
#include <cmath>
#include <cohort/ops/cuda/reduce.hpp>
#include <limits>

// Legend: i a query, j a key, d a feature of one head. A lane works on one key (or query) of 32 while
// scores are computed, and on features lane, lane + 32, ... while rows are summed.
namespace cohort::ops::kernels {

/// One row of the result of an attention kernel: row `token` of a head of a sample, a warp each.
template <int Heads, int HeadDim, class T> struct AttentionRow {
  using A = accumulator_t<T>;
  static constexpr int C = Heads * HeadDim, stride = 3 * C;
  static constexpr int warps = 4, each = ceil_div(HeadDim, cuda::warp_size);

  int token;
  std::ptrdiff_t head;   // of all samples' heads: the row of lse and delta
  std::ptrdiff_t first;  // the sample's first row
  int column;            // the head's first feature

  static int blocks(int samples, int tokens) { return ceil_div(samples * Heads * tokens, warps); }
  /// The row of the warp, long causal rows first; token < 0: none.
  template <class Block>
  COHORT_DEVICE static AttentionRow of(const Block& block, int samples, int tokens) {
    const int at = block.index() * warps + block.warp(), head = at / tokens;
    return {at < samples * Heads * tokens ? tokens - 1 - at % tokens : -1, head,
            std::ptrdiff_t{head / Heads} * tokens, head % Heads * HeadDim};
  }
  /// Part 0, 1, 2: q, k or v of a token.
  COHORT_DEVICE std::ptrdiff_t at(int part, int row) const {
    return (first + row) * stride + part * C + column;
  }
  COHORT_DEVICE std::ptrdiff_t y_at(int row) const { return (first + row) * C + column; }
  COHORT_DEVICE static A scale() { return A(1) / std::sqrt(A(HeadDim)); }
};

/// own[d], widened, from a row of T.
template <int HeadDim, class Block, class A, class T>
COHORT_DEVICE void load_row(const Block& block, A* own, const T* from) {
  for (int d = block.lane(); d < HeadDim; d += cuda::warp_size) own[d] = A(from[d]);
}
template <int HeadDim, class A, class T> COHORT_DEVICE A dot_row(const A* own, const T* row) {
  A sum = 0;
  for (int d = 0; d < HeadDim; ++d) sum = std::fma(own[d], A(row[d]), sum);
  return sum;
}
/// sum[d] += the lanes' weights times rows 0..count of `rows`, in order.
template <int HeadDim, int Each, class Block, class A, class T>
COHORT_DEVICE void add_rows(const Block& block, A (&sum)[Each], A weight, const T* rows,
                            std::ptrdiff_t stride, int count) {
  for (int k = 0; k < cuda::warp_size; ++k) {
    const A w = block.shuffle(weight, k);
    if (k >= count) continue;
    COHORT_UNROLL
    for (int e = 0; e < Each; ++e) {
      const int d = block.lane() + e * cuda::warp_size;
      if (d < HeadDim) sum[e] = std::fma(w, A(rows[k * stride + d]), sum[e]);
    }
  }
}
template <int HeadDim, int Each, class Block, class A, class T>
COHORT_DEVICE void store_row(const Block& block, T* to, const A (&sum)[Each], A factor) {
  COHORT_UNROLL
  for (int e = 0; e < Each; ++e) {
    const int d = block.lane() + e * cuda::warp_size;
    if (d < HeadDim) to[d] = T(sum[e] * factor);
  }
}

/// y and lse of one query a warp: 32 keys at a time, a running maximum and sum.
template <int Heads, int HeadDim, bool Causal, class T> struct AttentionForwardRows {
  using Row = AttentionRow<Heads, HeadDim, T>;
  using A = accumulator_t<T>;
  static constexpr int threads = Row::warps * cuda::warp_size;
  struct Shared {
    A q[Row::warps][HeadDim];
  };

  int samples, tokens;
  const T* qkv;
  T* y;
  A* lse;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const Row row = Row::of(block, samples, tokens);
    if (row.token < 0) return;
    A* q = shared.q[block.warp()];
    load_row<HeadDim>(block, q, qkv + row.at(0, row.token));
    block.sync_warp();
    A top = -std::numeric_limits<A>::infinity(), sum = 0, o[Row::each] = {};
    const int keys = Causal ? row.token + 1 : tokens;
    for (int j = 0; j < keys; j += cuda::warp_size) {
      const int key = j + block.lane();
      A s = -std::numeric_limits<A>::infinity();
      if (key < keys) s = dot_row<HeadDim>(q, qkv + row.at(1, key)) * Row::scale();
      const A before = top;
      top = over_warp(block, s < top ? top : s, Max{});
      const A p = std::exp(s - top), fade = std::exp(before - top);
      sum = std::fma(sum, fade, over_warp(block, p, Sum{}));
      for (A& x : o) x *= fade;
      add_rows<HeadDim>(block, o, p, qkv + row.at(2, j), Row::stride, keys - j);
    }
    store_row<HeadDim>(block, y + row.y_at(row.token), o, A(1) / sum);
    if (block.lane() == 0) lse[row.head * tokens + row.token] = top + std::log(sum);
  }
};

/// delta = sum of dy y of each row and head.
///
/// Shapes   y, dy[samples * tokens, Heads * HeadDim], delta[samples, Heads, tokens].
/// Cost     4 bytes an element in 16 bits: two reads.
template <int Heads, int HeadDim, class T> struct AttentionDelta {
  using A = accumulator_t<T>;
  static constexpr int N = pack_size<HeadDim, T>(), packs = HeadDim / N;
  /// Lanes of a row of a head: a power of two, so that they never cross a warp.
  static constexpr int lanes = packs >= 32 ? 32
                               : packs > 8 ? 16
                               : packs > 4 ? 8
                               : packs > 2 ? 4
                                           : 2;
  static constexpr int threads = 256, rows = threads / lanes;
  struct Shared {};

  int samples, tokens;
  const T *y, *dy;
  A* delta;

  static int blocks(int samples, int tokens) { return ceil_div(samples * tokens * Heads, rows); }
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int at = block.index() * rows + block.thread() / lanes, lane = block.thread() % lanes;
    const bool there = at < samples * tokens * Heads;
    A sum = 0;
    for (int p = lane; there && p < packs; p += lanes) {
      const std::ptrdiff_t from = std::ptrdiff_t{at} * HeadDim + p * N;
      const auto a = widen(load<N>(y + from)), b = widen(load<N>(dy + from));
      unrolled<N>([&](auto k) { sum = std::fma(a[k], b[k], sum); });
    }
    for (int mask = lanes / 2; mask > 0; mask /= 2) sum += block.shuffle_xor(sum, mask);
    const int head = at % Heads, row = at / Heads;
    if (there && lane == 0)
      delta[(std::ptrdiff_t{row / tokens} * Heads + head) * tokens + row % tokens] = sum;
  }
};

/// dq of one query a warp, or, with OfKeys, dk and dv of one key a warp: p and ds are computed again
/// from lse and delta, 32 keys (queries) at a time.
template <int Heads, int HeadDim, bool Causal, bool OfKeys, class T> struct AttentionBackwardRows {
  using Row = AttentionRow<Heads, HeadDim, T>;
  using A = accumulator_t<T>;
  static constexpr int threads = Row::warps * cuda::warp_size;
  struct Shared {
    A first[Row::warps][HeadDim], second[Row::warps][HeadDim];
  };

  int samples, tokens;
  const T *qkv, *dy;
  const A *lse, *delta;
  T* dqkv;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const Row row = Row::of(block, samples, tokens);
    if (row.token < 0) return;
    A *first = shared.first[block.warp()], *second = shared.second[block.warp()];
    load_row<HeadDim>(block, first, qkv + row.at(OfKeys ? 1 : 0, row.token));
    if constexpr (OfKeys)
      load_row<HeadDim>(block, second, qkv + row.at(2, row.token));
    else
      load_row<HeadDim>(block, second, dy + row.y_at(row.token));
    block.sync_warp();
    A by_ds[Row::each] = {}, by_p[Row::each] = {};
    const int begin = OfKeys && Causal ? row.token : 0;
    const int end = !OfKeys && Causal ? row.token + 1 : tokens;
    for (int m = begin; m < end; m += cuda::warp_size) {
      const int met = m + block.lane();
      A p = 0, ds = 0;
      if (met < end) weigh(row, first, second, met, p, ds);
      add_rows<HeadDim>(block, by_ds, ds, qkv + row.at(OfKeys ? 0 : 1, m), Row::stride, end - m);
      if constexpr (OfKeys) add_rows<HeadDim>(block, by_p, p, dy + row.y_at(m), Row::C, end - m);
    }
    store_row<HeadDim>(block, dqkv + row.at(OfKeys ? 1 : 0, row.token), by_ds, Row::scale());
    if constexpr (OfKeys) store_row<HeadDim>(block, dqkv + row.at(2, row.token), by_p, A(1));
  }

 private:
  /// p and ds of the warp's row and row `met`.
  COHORT_DEVICE void weigh(const Row& row, const A* first, const A* second, int met, A& p,
                           A& ds) const {
    const std::ptrdiff_t query = row.head * tokens + (OfKeys ? met : row.token);
    const A s = dot_row<HeadDim>(first, qkv + row.at(OfKeys ? 0 : 1, met)) * Row::scale();
    A dp;
    if constexpr (OfKeys)
      dp = dot_row<HeadDim>(second, dy + row.y_at(met));
    else
      dp = dot_row<HeadDim>(second, qkv + row.at(2, met));
    p = std::exp(s - lse[query]);
    ds = p * (dp - delta[query]);
  }
};

}  // namespace cohort::ops::kernels
