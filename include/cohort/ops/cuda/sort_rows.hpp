// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/sort_rows.hpp: rows ordered by their token, those of one token in their own order.
#pragma once
#include <cohort/core/bits.hpp>
#include <cohort/ops/cuda/fault.hpp>
#include <cohort/ops/cuda/reduce.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort::ops::kernels {

/// What a pass of the sort works on: eight bits of the token, from `shift` on. Pass 0 reads the tokens
/// themselves (row i is row i, a token outside [0, V) counts as 0), the others a former pass' pairs.
struct SortPass {
  static constexpr int threads = 256, warps = threads / warp_size, bins = 256;
  static constexpr int of_lane = 4, tile = threads * of_lane;  // a warp takes 128 neighbours
  int rows, shift, vocabulary;
  bool from_tokens;
  const std::int32_t *tokens, *order;  // [rows]; order is not read by pass 0
  unsigned* counts;                    // [bins, tiles]

  COHORT_DEVICE std::int32_t token(int i) const {
    return from_tokens ? clamped(tokens[i], vocabulary) : tokens[i];
  }
  COHORT_DEVICE std::int32_t row(int i) const { return from_tokens ? i : order[i]; }
  COHORT_DEVICE int bin(std::int32_t token) const { return token >> shift & (bins - 1); }
};

/// How often each bin occurs in each tile of rows.
struct CountBins : SortPass {
  struct Shared {
    unsigned count[bins];
  };
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int thread = block.thread();
    shared.count[thread] = 0;
    block.sync();
    for (int i = block.index() * tile + thread, k = 0; k < of_lane && i < rows; ++k, i += threads)
      block.atomic_add(&shared.count[bin(token(i))], 1u);
    block.sync();
    counts[thread * block.count() + block.index()] = shared.count[thread];
  }
};

/// counts[i] becomes the sum of those before it, in one block: a run of neighbours a thread.
struct ScanCounts {
  static constexpr int threads = 1024, warps = threads / warp_size;
  struct Shared {
    unsigned of_warp[warps];
  };
  int n;
  unsigned* counts;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int run = ceil_div(n, threads), begin = block.thread() * run;
    const int end = n - begin < run ? n : begin + run;
    unsigned sum = 0;
    for (int i = begin; i < end; ++i) sum += counts[i];
    unsigned up_to = sum;  // over the lanes up to this one
    for (int step = 1; step < warp_size; step *= 2) {
      const unsigned before = block.shuffle(up_to, block.lane() < step ? 0 : block.lane() - step);
      if (block.lane() >= step) up_to += before;
    }
    if (block.lane() == warp_size - 1) shared.of_warp[block.warp()] = up_to;
    block.sync();
    unsigned before = up_to - sum;
    for (int w = 0; w < block.warp(); ++w) before += shared.of_warp[w];
    for (int i = begin; i < end; ++i) {
      const unsigned count = counts[i];
      counts[i] = before;
      before += count;
    }
  }
};

/// Moves every pair of a tile behind those of smaller bins and of its own bin that came before it.
struct PlaceRows : SortPass {
  struct Shared {
    unsigned next[warps][bins];
  };
  std::int32_t *sorted_tokens, *sorted_order;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int thread = block.thread(), warp = block.warp();
    for (int w = 0; w < warps; ++w) shared.next[w][thread] = 0;
    block.sync();
    const int first = block.index() * tile + warp * of_lane * warp_size + block.lane();
    std::int32_t key[of_lane];
    unsigned rank[of_lane];
    unrolled<of_lane>([&](auto k) {
      const int i = first + k * warp_size;
      key[k] = i < rows ? token(i) : 0;
      rank[k] = rank_in_warp(block, shared.next[warp], bin(key[k]), i < rows);
    });
    block.sync();
    unsigned before = counts[thread * block.count() + block.index()];
    for (int w = 0; w < warps; ++w) {
      const unsigned count = shared.next[w][thread];
      shared.next[w][thread] = before;
      before += count;
    }
    block.sync();
    unrolled<of_lane>([&](auto k) {
      const int i = first + k * warp_size;
      if (i >= rows) return;
      const unsigned to = shared.next[warp][bin(key[k])] + rank[k];
      sorted_tokens[to] = key[k];
      sorted_order[to] = row(i);
    });
  }

 private:
  /// How many pairs of this warp came before with the same bin; counts the lanes of this call.
  template <class Block>
  COHORT_DEVICE static unsigned rank_in_warp(const Block& block, unsigned* counted, int bin,
                                             bool takes_part) {
    unsigned equal = block.ballot(takes_part);
    for (int bit = 0; bit < 8; ++bit) {
      const unsigned ones = block.ballot((bin >> bit & 1) != 0);
      equal &= (bin >> bit & 1) != 0 ? ones : ~ones;
    }
    const auto below = static_cast<unsigned>(ones(equal & ((1u << block.lane()) - 1)));
    const unsigned before = counted[bin];
    block.sync_warp();
    if (takes_part && below == 0) counted[bin] = before + static_cast<unsigned>(ones(equal));
    block.sync_warp();
    return before + below;
  }
};

/// Rows in the order of their tokens, equal tokens in the order of rows.
struct SortedRows {
  const std::int32_t *tokens, *order;  // [rows]: the sorted tokens, and which row each belongs to
};

constexpr std::size_t sort_rows_integers(int rows) {
  const auto n = static_cast<std::size_t>(rows);
  return 4 * n + SortPass::bins * ceil_div(n, std::size_t{SortPass::tile});
}

/// A radix sort by eight bits a pass; `scratch` holds sort_rows_integers(rows) integers and the result.
///
/// Cost     three kernels a pass, 20 bytes a row and pass; one pass up to 256 tokens, two up to 65536.
/// Laws     integers only, placed by counting: the same result whatever the order of blocks.
template <int V>
SortedRows sort_rows(const Cuda& device, int rows, const std::int32_t* tokens,
                     std::int32_t* scratch) {
  std::int32_t* pairs[2] = {scratch, scratch + 2 * static_cast<std::ptrdiff_t>(rows)};
  auto* counts = reinterpret_cast<unsigned*>(scratch + 4 * static_cast<std::ptrdiff_t>(rows));
  const int tiles = ceil_div(rows, SortPass::tile);
  SortPass pass{rows, 0, V, true, tokens, nullptr, counts};
  for (int to = 0;; to ^= 1) {
    cohort::cuda::launch(device, tiles, CountBins{pass});
    cohort::cuda::launch(device, tiles > 0 ? 1 : 0, ScanCounts{SortPass::bins * tiles, counts});
    cohort::cuda::launch(device, tiles, PlaceRows{pass, pairs[to], pairs[to] + rows});
    pass.tokens = pairs[to];
    pass.order = pairs[to] + rows;
    pass.from_tokens = false;
    pass.shift += 8;
    if (pass.shift >= 32 || (V - 1) >> pass.shift == 0) return {pass.tokens, pass.order};
  }
}

}  // namespace cohort::ops::kernels
