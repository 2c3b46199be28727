// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/grad_norm.hpp: the squared norm of a gradient on a GPU, exactly the CPU's.
#pragma once
#include <algorithm>
#include <bit>
#include <cohort/core/bits.hpp>
#include <cohort/ops/cuda/reduce.hpp>
#include <cohort/ops/grad_norm.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort::ops {

namespace kernels {

/// A window of an ExactSum in a warp's registers: each lane adds to `num` limbs of its own, all from the same
/// place `at` on. Neighbouring chunks have sums of like size, so that nearly all of them fall into the
/// window; when one does not, the window goes to the limbs of the block and moves.
struct LimbWindow {
  static constexpr int num = 4;
  int at = 0;
  unsigned long long limb[num] = {};

  /// All lanes come. flush(limb number, value) takes what the window held and what does not fit into it.
  template <class Block, class Flush>
  COHORT_DEVICE void add(const Block& block, double x, Flush flush) {
    constexpr int invalid = ExactSum::num_limbs - 1;
    constexpr std::uint64_t fraction = (std::uint64_t{1} << 52) - 1;
    const auto bits = std::bit_cast<std::uint64_t>(x);
    const auto exponent = static_cast<std::uint32_t>(bits >> 52);  // with the sign on top
    const bool valid = exponent < 0x7ff;
    if (!valid && x != 0.0) flush(invalid, 1);
    const std::uint64_t mantissa =
        valid ? (bits & fraction) | (std::uint64_t{exponent != 0} << 52) : 0;
    const std::uint32_t position = exponent - (exponent != 0);
    const int first = static_cast<int>(position / 32), shift = static_cast<int>(position % 32);
    const auto fits = [&] { return mantissa == 0 || first == at || first == at + 1; };
    const unsigned others = block.ballot(!fits());
    if (others != 0) move(block, block.shuffle(first, trailing_ones(~others)), flush);
    const std::uint64_t low = mantissa << shift;
    const std::uint64_t part[3] = {low & 0xffffffff, low >> 32, (mantissa >> 32) >> (32 - shift)};
    if (!fits()) return unrolled<3>([&](auto i) { flush(first + i, part[i]); });
    const bool second = first != at;
    limb[0] += second ? 0 : part[0];
    limb[1] += second ? part[0] : part[1];
    limb[2] += second ? part[1] : part[2];
    limb[3] += second ? part[2] : 0;
  }
  template <class Block, class Flush>
  COHORT_DEVICE void move(const Block& block, int to, Flush flush) {
    unrolled<num>([&](auto i) {
      const auto of_warp = over_warp(block, limb[i], Sum{});
      if (block.lane() == 0 && of_warp != 0) flush(at + i, of_warp);
      limb[i] = 0;
    });
    at = to;
  }
};

/// Eight threads a chunk, one for each of the eight lanes of the CPU's sum. A warp sums 32 chunks at a time,
/// so that each of its lanes has one of the sums to add to the limbs.
template <class T> struct SquareSum {
  static constexpr int threads = 256, chunks_of_block = threads, most_blocks = 1024;
  static constexpr int blocks_per_processor = 3;  // and thirty loads of each thread in flight
  struct Shared {
    unsigned long long limb[ExactSum::num_limbs];
  };
  std::size_t n;
  const T* g;
  unsigned long long* limbs;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    for (int i = block.thread(); i < ExactSum::num_limbs; i += threads) shared.limb[i] = 0;
    block.sync();
    const auto flush = [&](int limb, unsigned long long value) {
      block.atomic_add(&shared.limb[limb], value);
    };
    LimbWindow window;
    const std::size_t chunks = ceil_div(n, std::size_t{norm_chunk});
    const std::size_t stride = static_cast<std::size_t>(block.count()) * chunks_of_block;
    const auto of_warp = static_cast<std::size_t>(block.warp()) * warp_size;
    for (std::size_t first = static_cast<std::size_t>(block.index()) * chunks_of_block + of_warp;
         first < chunks; first += stride)
      window.add(block, of_chunks(block, first), flush);
    window.move(block, 0, flush);
    block.sync();
    for (int i = block.thread(); i < ExactSum::num_limbs; i += threads)
      if (shared.limb[i] != 0) block.atomic_add(&limbs[i], shared.limb[i]);
  }

 private:
  /// The sums of 32 chunks, another for each lane: ((0+4)+(2+6)) + ((1+5)+(3+7)) over the eight threads of
  /// a chunk. They have eight chunks, and at each addition one half of the threads goes on with one half.
  template <class Block>
  COHORT_DEVICE double of_chunks(const Block& block, std::size_t first) const {
    const int lane = block.lane() % 8;
    double sum[8];
    unrolled<8>([&](auto k) {
      const std::size_t chunk = first + 4 * k + static_cast<std::size_t>(block.lane() / 8);
      sum[k] = of_lane(chunk * norm_chunk + static_cast<std::size_t>(lane));
    });
    const auto halve = [&](auto half) {
      const bool upper = (lane & half) != 0;
      unrolled<half>([&](auto k) {
        const double own = upper ? sum[k + half] : sum[k], other = upper ? sum[k] : sum[k + half];
        sum[k] = own + block.shuffle_xor(other, half);
      });
    };
    halve(std::integral_constant<int, 4>{});
    halve(std::integral_constant<int, 2>{});
    halve(std::integral_constant<int, 1>{});
    return sum[0];
  }
  /// Elements i, i + 8, ... of a chunk in order; 0 from n on.
  COHORT_DEVICE double of_lane(std::size_t i) const {
    constexpr int each = norm_chunk / 8;
    const int there = i >= n ? 0 : n - i < norm_chunk ? static_cast<int>(n - i) : norm_chunk;
    T x[each];
    unrolled<each>([&](auto k) { x[k] = 8 * k < there ? g[i + 8 * k] : T{}; });
    double sum = 0;
    unrolled<each>([&](auto k) {
      const auto v = static_cast<double>(cohort::cuda::detail::widened(x[k]));
      sum = fma(v, v, sum);
    });
    return sum;
  }
};

}  // namespace kernels

/// Adds the sum of squares of g[n] to the limbs of an ExactSum.
///
/// Cost     4 bytes an element of fp32, one read. A chunk's sum costs some thirty integer operations of one
///          thread; atomics are a few per warp at the end, and integers.
/// Laws     the limbs are the CPU's, integer by integer.
template <class T>
void add_square_sum(const Cuda& device, std::size_t n, const T* g, std::int64_t* limbs) {
  using K = kernels::SquareSum<T>;
  const std::size_t blocks = kernels::ceil_div(n, std::size_t{norm_chunk} * K::chunks_of_block);
  cohort::cuda::launch(device, static_cast<int>(std::min<std::size_t>(blocks, K::most_blocks)),
                       K{n, g, reinterpret_cast<unsigned long long*>(limbs)});
}

}  // namespace cohort::ops
