// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/attention_heads.hpp: where the queries, keys and values of each head lie in a row.
#pragma once
#include <cohort/core/host_device.hpp>

namespace cohort::ops {

/// A row [q of Heads | k of KvHeads | v of KvHeads], HeadDim features each. Query head h reads key head
/// h / group: with fewer key heads, neighbouring query heads share one (grouped-query attention).
///
/// Source   Ainslie et al. 2023, arXiv:2305.13245.
template <int Heads, int KvHeads, int HeadDim> struct AttentionHeads {
  static_assert(HeadDim > 0 && KvHeads > 0 && Heads % KvHeads == 0);
  static constexpr int heads = Heads, kv_heads = KvHeads, head_dim = HeadDim;
  static constexpr int group = Heads / KvHeads;                // query heads of a key head
  static constexpr int width = Heads * HeadDim;                // of a row of y
  static constexpr int row = (Heads + 2 * KvHeads) * HeadDim;  // of qkv

  // Where they begin in a row.
  COHORT_HOST_DEVICE static constexpr int q(int head) { return head * HeadDim; }
  COHORT_HOST_DEVICE static constexpr int k(int kv_head) { return (Heads + kv_head) * HeadDim; }
  COHORT_HOST_DEVICE static constexpr int v(int kv_head) {
    return (Heads + KvHeads + kv_head) * HeadDim;
  }
};

/// Every head has keys and values of its own: [q | k | v], each C = Heads * HeadDim wide.
template <int Heads, int HeadDim> using EqualHeads = AttentionHeads<Heads, Heads, HeadDim>;

}  // namespace cohort::ops
