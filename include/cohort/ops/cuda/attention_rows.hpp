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

/// One row of the result of an attention kernel: row `token` of one of Count heads of a sample, a warp each.
template <class H, int Count, class T> struct AttentionRow {
  using A = accumulator_t<T>;
  static constexpr int warps = 4, each = ceil_div(H::head_dim, cuda::warp_size);
  static constexpr std::ptrdiff_t stride = H::row, y_stride = H::width;

  int token, sample, head;
  std::ptrdiff_t first;  // the sample's first row

  static int blocks(int samples, int tokens) { return ceil_div(samples * Count * tokens, warps); }
  /// The row of the warp, long causal rows first; token < 0: none.
  template <class Block>
  COHORT_DEVICE static AttentionRow of(const Block& block, int samples, int tokens) {
    const int at = block.index() * warps + block.warp(), sample = at / tokens / Count;
    return {at < samples * Count * tokens ? tokens - 1 - at % tokens : -1, sample,
            at / tokens % Count, std::ptrdiff_t{sample} * tokens};
  }
  // Where query, key and value of a token begin in qkv, and the result of query head h in y and lse.
  COHORT_DEVICE std::ptrdiff_t q(int h, int row) const { return (first + row) * stride + H::q(h); }
  COHORT_DEVICE std::ptrdiff_t k(int kv, int row) const {
    return (first + row) * stride + H::k(kv);
  }
  COHORT_DEVICE std::ptrdiff_t v(int kv, int row) const {
    return (first + row) * stride + H::v(kv);
  }
  COHORT_DEVICE std::ptrdiff_t y(int h, int row) const {
    return (first + row) * y_stride + h * H::head_dim;
  }
  COHORT_DEVICE std::ptrdiff_t lse(int h, int tokens, int row) const {
    return (std::ptrdiff_t{sample} * H::heads + h) * tokens + row;
  }
  COHORT_DEVICE static A scale() { return A(1) / std::sqrt(A(H::head_dim)); }
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
template <class H, bool Causal, class T> struct AttentionForwardRows {
  using Row = AttentionRow<H, H::heads, T>;
  using A = accumulator_t<T>;
  static constexpr int HeadDim = H::head_dim;
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
    const int kv = row.head / H::group;
    A* q = shared.q[block.warp()];
    load_row<HeadDim>(block, q, qkv + row.q(row.head, row.token));
    block.sync_warp();
    A top = -std::numeric_limits<A>::infinity(), sum = 0, o[Row::each] = {};
    const int keys = Causal ? row.token + 1 : tokens;
    for (int j = 0; j < keys; j += cuda::warp_size) {
      const int key = j + block.lane();
      A s = -std::numeric_limits<A>::infinity();
      if (key < keys) s = dot_row<HeadDim>(q, qkv + row.k(kv, key)) * Row::scale();
      const A before = top;
      top = over_warp(block, s < top ? top : s, Max{});
      const A p = std::exp(s - top), fade = std::exp(before - top);
      sum = std::fma(sum, fade, over_warp(block, p, Sum{}));
      for (A& x : o) x *= fade;
      add_rows<HeadDim>(block, o, p, qkv + row.v(kv, j), Row::stride, keys - j);
    }
    store_row<HeadDim>(block, y + row.y(row.head, row.token), o, A(1) / sum);
    if (block.lane() == 0) lse[row.lse(row.head, tokens, row.token)] = top + std::log(sum);
  }
};

/// delta = sum of dy y of each row and head.
///
/// Shapes   y, dy[samples * tokens, H::width], delta[samples, heads, tokens].
/// Cost     4 bytes an element in 16 bits: two reads.
template <class H, class T> struct AttentionDelta {
  using A = accumulator_t<T>;
  static constexpr int Heads = H::heads, HeadDim = H::head_dim;
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

/// dq of one query a warp, or, with OfKeys, dk and dv of one key a warp, summed over the query heads that
/// share it: p and ds are computed again from lse and delta, 32 keys (queries) at a time.
template <class H, bool Causal, bool OfKeys, class T> struct AttentionBackwardRows {
  using Row = AttentionRow<H, OfKeys ? H::kv_heads : H::heads, T>;
  using A = accumulator_t<T>;
  static constexpr int HeadDim = H::head_dim;
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
    const int begin = OfKeys && Causal ? row.token : 0;
    const int end = !OfKeys && Causal ? row.token + 1 : tokens;
    A by_ds[Row::each] = {}, by_p[Row::each] = {};
    if constexpr (OfKeys) {
      load_row<HeadDim>(block, first, qkv + row.k(row.head, row.token));
      load_row<HeadDim>(block, second, qkv + row.v(row.head, row.token));
      block.sync_warp();
      for (int i = 0; i < H::group; ++i) {
        const int head = row.head * H::group + i;
        for (int query = begin; query < end; query += cuda::warp_size) {
          const int met = query + block.lane();
          A p = 0, ds = 0;
          if (met < end)
            weigh(first, qkv + row.q(head, met), second, dy + row.y(head, met),
                  row.lse(head, tokens, met), p, ds);
          add_rows<HeadDim>(block, by_ds, ds, qkv + row.q(head, query), Row::stride, end - query);
          add_rows<HeadDim>(block, by_p, p, dy + row.y(head, query), Row::y_stride, end - query);
        }
      }
      store_row<HeadDim>(block, dqkv + row.k(row.head, row.token), by_ds, Row::scale());
      store_row<HeadDim>(block, dqkv + row.v(row.head, row.token), by_p, A(1));
    } else {
      const int kv = row.head / H::group;
      load_row<HeadDim>(block, first, qkv + row.q(row.head, row.token));
      load_row<HeadDim>(block, second, dy + row.y(row.head, row.token));
      block.sync_warp();
      for (int key = begin; key < end; key += cuda::warp_size) {
        const int met = key + block.lane();
        A p = 0, ds = 0;
        if (met < end)
          weigh(first, qkv + row.k(kv, met), second, qkv + row.v(kv, met),
                row.lse(row.head, tokens, row.token), p, ds);
        add_rows<HeadDim>(block, by_ds, ds, qkv + row.k(kv, key), Row::stride, end - key);
      }
      store_row<HeadDim>(block, dqkv + row.q(row.head, row.token), by_ds, Row::scale());
    }
  }

 private:
  /// p and ds of a query and a key: q and k are `a` and `b`, dy and v are `c` and `d`, either way round.
  COHORT_DEVICE void weigh(const A* a, const T* b, const A* c, const T* d, std::ptrdiff_t query,
                           A& p, A& ds) const {
    p = std::exp(dot_row<HeadDim>(a, b) * Row::scale() - lse[query]);
    ds = p * (dot_row<HeadDim>(c, d) - delta[query]);
  }
};

}  // namespace cohort::ops::kernels
