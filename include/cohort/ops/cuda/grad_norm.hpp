// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/grad_norm.hpp: the squared norm of a gradient on a GPU, exactly the CPU's.
#pragma once
#include <algorithm>
#include <bit>
#include <cohort/ops/cuda/reduce.hpp>
#include <cohort/ops/grad_norm.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort::ops {

namespace kernels {

/// A window of an ExactSum in a thread's registers: `num` limbs from `at` on. Neighbouring chunks have
/// sums of like size, so that nearly all of them fall into the window; when one does not, the window goes
/// to the limbs of the block and moves.
struct LimbWindow {
  static constexpr int num = 4;
  int at = 0;
  unsigned long long limb[num] = {};

  /// flush(limb number, value) takes what the window held.
  template <class Flush> COHORT_DEVICE void add(double x, Flush flush) {
    constexpr int invalid = ExactSum::num_limbs - 1;
    constexpr std::uint64_t fraction = (std::uint64_t{1} << 52) - 1;
    const auto bits = std::bit_cast<std::uint64_t>(x);
    const auto exponent = static_cast<std::uint32_t>(bits >> 52);  // with the sign on top
    if (exponent >= 0x7ff) return flush(invalid, x == 0.0 ? 0 : 1);
    const std::uint64_t mantissa = (bits & fraction) | (std::uint64_t{exponent != 0} << 52);
    const std::uint32_t position = exponent - (exponent != 0);
    const int first = static_cast<int>(position / 32), shift = static_cast<int>(position % 32);
    if (first != at && first != at + 1) move(first, flush);
    const std::uint64_t low = mantissa << shift;
    const std::uint64_t part[3] = {low & 0xffffffff, low >> 32, (mantissa >> 32) >> (32 - shift)};
    const bool second = first != at;
    limb[0] += second ? 0 : part[0];
    limb[1] += second ? part[0] : part[1];
    limb[2] += second ? part[1] : part[2];
    limb[3] += second ? part[2] : 0;
  }
  template <class Flush> COHORT_DEVICE void move(int to, Flush flush) {
    unrolled<num>([&](auto i) {
      if (limb[i] != 0) flush(at + i, limb[i]);
      limb[i] = 0;
    });
    at = to;
  }
};

/// Eight threads a chunk, one for each of the eight lanes of the CPU's sum.
template <class T> struct SquareSum {
  static constexpr int threads = 256, chunks_of_block = threads / 8, most_blocks = 1024;
  struct Shared {
    unsigned long long limb[ExactSum::num_limbs];
  };
  std::size_t n;
  const T* g;
  unsigned long long* limbs;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int thread = block.thread(), lane = thread % 8;
    for (int i = thread; i < ExactSum::num_limbs; i += threads) shared.limb[i] = 0;
    block.sync();
    const auto flush = [&](int limb, unsigned long long value) {
      block.atomic_add(&shared.limb[limb], value);
    };
    LimbWindow window;
    const std::size_t chunks = ceil_div(n, std::size_t{norm_chunk});
    const std::size_t stride = static_cast<std::size_t>(block.count()) * chunks_of_block;
    // Whole warps go round: the shuffles want all lanes.
    const auto warp_first = static_cast<std::size_t>(block.warp()) * (warp_size / 8);
    for (std::size_t first = static_cast<std::size_t>(block.index()) * chunks_of_block + warp_first;
         first < chunks; first += stride) {
      const std::size_t chunk = first + static_cast<std::size_t>(block.lane() / 8);
      const double sum = of_chunk(block, chunk * norm_chunk + static_cast<std::size_t>(lane));
      if (lane == 0 && chunk < chunks) window.add(sum, flush);
    }
    if (lane == 0) window.move(0, flush);
    block.sync();
    for (int i = thread; i < ExactSum::num_limbs; i += threads)
      if (shared.limb[i] != 0) block.atomic_add(&limbs[i], shared.limb[i]);
  }

 private:
  /// Elements i, i + 8, ... of a chunk in order, then ((0+4)+(2+6)) + ((1+5)+(3+7)) over its threads.
  template <class Block> COHORT_DEVICE double of_chunk(const Block& block, std::size_t i) const {
    constexpr int each = norm_chunk / 8;
    T x[each];
    unrolled<each>([&](auto k) { x[k] = i + 8 * k < n ? g[i + 8 * k] : T{}; });
    double sum = 0;
    unrolled<each>([&](auto k) {
      const auto v = static_cast<double>(cohort::cuda::detail::widened(x[k]));
      sum = fma(v, v, sum);
    });
    for (int mask = 4; mask > 0; mask /= 2) sum += block.shuffle_xor(sum, mask);
    return sum;
  }
};

}  // namespace kernels

/// Adds the sum of squares of g[n] to the limbs of an ExactSum.
///
/// Cost     4 bytes an element of fp32, one read. A chunk's sum costs some twenty integer operations in
///          registers; atomics are a few per thread at the end, and integers.
/// Laws     the limbs are the CPU's, integer by integer.
template <class T>
void add_square_sum(const Cuda& device, std::size_t n, const T* g, std::int64_t* limbs) {
  using K = kernels::SquareSum<T>;
  const std::size_t blocks = kernels::ceil_div(n, std::size_t{norm_chunk} * K::chunks_of_block);
  cohort::cuda::launch(device, static_cast<int>(std::min<std::size_t>(blocks, K::most_blocks)),
                       K{n, g, reinterpret_cast<unsigned long long*>(limbs)});
}

}  // namespace cohort::ops
