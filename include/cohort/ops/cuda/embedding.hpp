// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/embedding.hpp: rows of a table chosen by token on a GPU, and their scatter-add in order.
#pragma once
#include <algorithm>
#include <cohort/core/bits.hpp>
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/cuda/sort_rows.hpp>
#include <cohort/ops/embedding.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort::ops {

namespace kernels {

/// A pack a thread, four rows' distance apart from the next of the same thread.
template <int V, int C, class T> struct EmbeddingForward {
  static constexpr int threads = 256, N = pack_size<C, T>(), packs = C / N, together = 4;
  struct Shared {};
  int rows;
  const std::int32_t* tokens;
  const T* weight;
  T* y;
  cohort::cuda::Fault* fault;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t all = static_cast<std::size_t>(rows) * packs;
    const std::size_t first = static_cast<std::size_t>(block.index()) * threads * together +
                              static_cast<std::size_t>(block.thread());
    Pack<T, N> pack[together] = {};
    unrolled<together>([&](auto k) {
      const std::size_t i = first + k * threads;
      if (i >= all) return;
      const auto row = static_cast<int>(i / packs), c = static_cast<int>(i % packs);
      const std::int32_t token = tokens[row], good = clamped(token, V);
      if (c == 0 && token != good) report(block, fault, cohort::cuda::Fault::token, row, token);
      pack[k] = load<N>(weight + (static_cast<std::size_t>(good) * packs + c) * N);
    });
    unrolled<together>([&](auto k) {
      const std::size_t i = first + k * threads;
      if (i < all) store(y + i * N, pack[k]);
    });
  }
};

/// Sums of dy over rows of equal token, rows in order, in the columns of a pass. A token's rows, if more
/// than `chunk`, are cut into chunks of that size from its first row on; their sums are added in order,
/// then the rest.
///
/// starts[token] is where its rows begin among the sorted ones; partials[p / chunk] is the sum of the
/// whole chunk that begins at sorted row p.
template <int C, class T, class D> struct TokenRows {
  using A = accumulator_t<D>;
  static constexpr int threads = 256, warps = threads / warp_size, chunk = 64, together = 4;
  static constexpr int N = pack_size<C, T, D>(), strips = ceil_div(C / N, 4 * warp_size);
  static constexpr int each = ceil_div(ceil_div(C / N, warp_size), strips);  // up to 4 packs a lane
  static constexpr int strip = N * warp_size * each;
  using Sums = Pack<A, N>[each];
  int rows, num_strips, width;  // width: columns of the pass; dy and dweight begin at its first
  SortedRows sorted;
  const std::int32_t* starts;
  const T* dy;
  A* partials;  // [chunks, width]
  D* dweight;
  bool first;

  template <class Block> COHORT_DEVICE int strip_of(const Block& block) const {
    return block.index() % num_strips;
  }
  /// The warp's number among those of its strip.
  template <class Block> COHORT_DEVICE int warp_of_strip(const Block& block) const {
    return block.index() / num_strips * warps + block.warp();
  }
  /// The sum of the whole chunk that begins at sorted row `at`.
  COHORT_DEVICE A* partials_at(int at) const {
    return partials + static_cast<std::size_t>(at / chunk) * static_cast<std::size_t>(width);
  }
  /// f(k, c): the lane's pack k of a strip begins at the pass' column c.
  template <class F> COHORT_DEVICE void for_packs(int lane, int strip_number, F f) const {
    unrolled<each>([&](auto k) {
      const int c = strip_number * strip + (k * warp_size + lane) * N;
      if (C % strip == 0 || c < width) f(k, c);
    });
  }
  COHORT_DEVICE bool same(int at, std::int32_t token) const {
    return at < rows && sorted.tokens[at] == token;
  }
  /// How many of the `chunk` sorted rows from `at` on have this token; asked by the whole warp.
  template <class Block>
  COHORT_DEVICE int run_length(const Block& block, int at, std::int32_t token) const {
    static_assert(chunk == 2 * warp_size);
    const unsigned low = block.ballot(same(at + block.lane(), token));
    const unsigned high = block.ballot(same(at + warp_size + block.lane(), token));
    return low == ~0u ? warp_size + trailing_ones(high) : trailing_ones(low);
  }
  /// Adds `count` rows from the sorted row `at` on; four rows are in flight.
  COHORT_DEVICE void add_rows(int lane, int strip_number, int at, int count, Sums& sums) const {
    const auto add = [&](auto many, int i) {
      Pack<T, N> packs[many][each] = {};
      unrolled<many>([&](auto r) {
        const T* from = dy + static_cast<std::size_t>(sorted.order[at + i + r]) * C;
        for_packs(lane, strip_number, [&](auto k, int c) { packs[r][k] = load<N>(from + c); });
      });
      unrolled<many>([&](auto r) {
        for_packs(lane, strip_number, [&](auto k, int) {
          const auto wide = widen(packs[r][k]);
          unrolled<N>([&](auto e) { sums[k][e] += wide[e]; });
        });
      });
    };
    int i = 0;
    for (; i + together <= count; i += together) add(std::integral_constant<int, together>{}, i);
    for (; i < count; ++i) add(std::integral_constant<int, 1>{}, i);
  }
  COHORT_DEVICE void write(int lane, int strip_number, std::int32_t token, const Sums& sums) const {
    D* to = dweight + static_cast<std::size_t>(token) * C;
    for_packs(lane, strip_number, [&](auto k, int c) {
      auto sum = sums[k];
      if (!first) {
        const auto there = widen(load<N>(static_cast<const D*>(to) + c));
        unrolled<N>([&](auto e) { sum[e] = there[e] + sum[e]; });
      }
      store(to + c, narrow<D>(sum));
    });
  }
};

/// Where each token's rows begin.
struct TokenStarts {
  static constexpr int threads = 256;
  struct Shared {};
  int rows;
  const std::int32_t* sorted;
  std::int32_t* starts;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int i = block.index() * threads + block.thread();
    if (i < rows && (i == 0 || sorted[i] != sorted[i - 1])) starts[sorted[i]] = i;
  }
};

/// A warp for each sorted row (and strip of columns): those at which a chunk begins sum it.
template <int C, class T, class D> struct SumChunks : TokenRows<C, T, D> {
  using Base = TokenRows<C, T, D>;
  struct Shared {};

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int strip = this->strip_of(block), lane = block.lane();
    const int at = this->warp_of_strip(block);
    if (at >= this->rows) return;
    const std::int32_t token = this->sorted.tokens[at];
    const int start = this->starts[token];
    if ((at - start) % Base::chunk != 0) return;
    const int count = this->run_length(block, at, token);
    const bool alone = at == start && !this->same(at + Base::chunk, token);
    if (count < Base::chunk && !alone) return;  // the rest of a long run: AddChunks reads it
    typename Base::Sums sums = {};
    this->add_rows(lane, strip, at, count, sums);
    if (alone) return this->write(lane, strip, token, sums);
    auto* to = this->partials_at(at);
    this->for_packs(lane, strip, [&](auto k, int c) { store(to + c, sums[k]); });
  }
};

/// A warp for each multiple of `chunk`: it finishes the token whose first chunk covers it, if long.
template <int C, class T, class D> struct AddChunks : TokenRows<C, T, D> {
  using Base = TokenRows<C, T, D>;
  struct Shared {};

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int strip = this->strip_of(block), lane = block.lane();
    const int covered = this->warp_of_strip(block) * Base::chunk;
    if (covered >= this->rows) return;
    const std::int32_t token = this->sorted.tokens[covered];
    int at = this->starts[token];
    if (covered - at >= Base::chunk || !this->same(at + Base::chunk, token)) return;
    typename Base::Sums sums = {};
    for (; this->same(at + Base::chunk - 1, token); at += Base::chunk) {
      const typename Base::A* from = this->partials_at(at);
      this->for_packs(lane, strip, [&](auto k, int c) {
        const auto part = load<Base::N>(from + c);
        unrolled<Base::N>([&](auto e) { sums[k][e] += part[e]; });
      });
    }
    this->add_rows(lane, strip, at, this->run_length(block, at, token), sums);
    this->write(lane, strip, token, sums);
  }
};

}  // namespace kernels

/// Cost     4 C + 4 bytes a row in 16 bits.
/// Errors   a token outside [0, V) is written to device.fault and row 0 of the table is taken.
template <int V, int C, class T>
void embedding_forward(const Cuda& device, int rows, const std::int32_t* tokens, const T* weight,
                       T* y) {
  using K = kernels::EmbeddingForward<V, C, T>;
  const std::size_t all = static_cast<std::size_t>(rows) * K::packs;
  const std::size_t blocks = kernels::ceil_div(all, std::size_t{K::threads} * K::together);
  cohort::cuda::launch(device, static_cast<int>(blocks), K{rows, tokens, weight, y, device.fault});
}

/// Cost     2 C bytes a row in 16 bits, 4 C written for each token that occurs (and 4 C V zeroed when
///          `first`), about 100 bytes a row for the sort. Where the workspace has no room for the partial
///          sums of all columns, strips of them are summed in passes: two more kernels each, the same bytes.
/// Errors   ContractBroken where the workspace has no room for the sort, 17 bytes a row and 4 V, and the
///          partial sums of one strip, at most 32 bytes a row (64 where D has 16 bits). For V = 50304,
///          32 MiB hold 680,000 rows (410,000) of any C; the sort alone would end at 1,960,000.
/// Laws     fp32 sums of a token's rows in order, in chunks of 64 from its first row on: neither the other
///          tokens nor the passes change a bit, and up to 64 rows with `first` give the CPU's bits. No
///          floating-point atomics.
template <int V, int C, class T, class D>
void embedding_backward(const Cuda& device, int rows, const std::int32_t* tokens, const T* dy,
                        D* dweight, bool first) {
  using Rows = kernels::TokenRows<C, T, D>;
  using A = accumulator_t<D>;
  if (first) device.zero(dweight, sizeof(D) * static_cast<std::size_t>(V) * C);
  const int chunks = kernels::ceil_div(rows, Rows::chunk);
  const std::size_t integers = kernels::sort_rows_integers(rows) + V;
  const std::size_t partials = round_up(integers * sizeof(std::int32_t), 64);
  const auto needed = [&](int strips) {
    const auto width = static_cast<std::size_t>(std::min(C, strips * Rows::strip));
    return partials + sizeof(A) * static_cast<std::size_t>(chunks) * width;
  };
  int at_once = Rows::strips;
  while (at_once > 1 && needed(at_once) > device.workspace_bytes) --at_once;
  auto* bytes = device.take<std::byte>(needed(at_once), "embedding_backward");
  auto* scratch = reinterpret_cast<std::int32_t*>(bytes);
  auto* sums = reinterpret_cast<A*>(bytes + partials);
  std::int32_t* starts = scratch + kernels::sort_rows_integers(rows);
  const auto sorted = kernels::sort_rows<V>(device, rows, tokens, scratch);
  cohort::cuda::launch(device, kernels::ceil_div(rows, kernels::TokenStarts::threads),
                       kernels::TokenStarts{rows, sorted.tokens, starts});
  for (int column = 0; column < C; column += at_once * Rows::strip) {
    const int width = std::min(C - column, at_once * Rows::strip);
    const int strips = kernels::ceil_div(width, Rows::strip);
    const Rows pass{rows, strips,           width, sorted, starts, dy + column,
                    sums, dweight + column, first};
    cohort::cuda::launch(device, kernels::ceil_div(rows, Rows::warps) * strips,
                         kernels::SumChunks<C, T, D>{pass});
    cohort::cuda::launch(device, kernels::ceil_div(chunks, Rows::warps) * strips,
                         kernels::AddChunks<C, T, D>{pass});
  }
}

}  // namespace cohort::ops
