// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/convert.hpp: arrays from one element type to another on a GPU.
#pragma once
#include <cohort/core/rng.hpp>
#include <cohort/ops/convert.hpp>
#include <cohort/ops/cuda/elementwise.hpp>
#include <cstdint>

namespace cohort::ops {

namespace kernels {

/// The 16 random bits of elements index, ..., index + N - 1 of (seed, stream), N <= 8: element e has
/// half e % 8 of block e / 8 of Philox.
template <int N>
COHORT_DEVICE inline Pack<std::uint32_t, N> random_halves(std::uint64_t seed, std::uint64_t stream,
                                                          std::uint64_t index) {
  static_assert(N <= 8);
  std::uint64_t halves[4];  // of the block and, where the elements reach into it, of the next one
  const auto make = [&](std::uint64_t number, std::uint64_t& low, std::uint64_t& high) {
    const auto w = Philox(seed)(stream, number);
    low = w[0] | std::uint64_t{w[1]} << 32;
    high = w[2] | std::uint64_t{w[3]} << 32;
  };
  make(index >> 3, halves[0], halves[1]);
  halves[2] = halves[3] = 0;
  if ((index & 7) + N > 8) make((index >> 3) + 1, halves[2], halves[3]);
  Pack<std::uint32_t, N> bits;
  unrolled<N>([&](auto i) {
    const std::uint64_t at = (index & 7) + i;
    const std::uint64_t first = at < 4 ? halves[0] : halves[1];
    const std::uint64_t second = at < 12 ? halves[2] : halves[3];
    bits[i] = static_cast<std::uint32_t>((at < 8 ? first : second) >> (16 * (at & 3))) & 0xffff;
  });
  return bits;
}

/// Eight elements a thread: one block of Philox where `first` is a multiple of eight.
struct ConvertAtRandom {
  static constexpr int threads = 256, N = pack_size<64, bf16>();
  struct Shared {};
  std::size_t n;
  const float* in;
  bf16* out;
  std::uint64_t seed, stream, first;
  bool packs;  // the addresses are those of whole packs

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const std::size_t i = (static_cast<std::size_t>(block.index()) * threads +
                           static_cast<std::size_t>(block.thread())) *
                          N;
    if (i >= n) return;
    const bool whole = packs && i + N <= n;
    const auto x = whole ? load<N>(in + i) : cohort::cuda::load_first<N>(in + i, n - i);
    const auto bits = random_halves<N>(seed, stream, first + i);
    Pack<bf16, N> y;
    unrolled<N>([&](auto k) { y[k] = round_at_random(x[k], bits[k]); });
    if (whole)
      store(out + i, y);
    else
      cohort::cuda::store_first(out + i, y, n - i);
  }
};

}  // namespace kernels

/// Cost     one read, one write.
template <class To, class From>
void convert(const Cuda& device, std::size_t n, const From* in, To* out) {
  kernels::map(device, n, kernels::Same{}, out, in);
}

template <class To>
void convert_scaled(const Cuda& device, std::size_t n, float factor, const float* in, To* out) {
  kernels::map(device, n, kernels::ScaledBy<float>{factor}, out, in);
}

/// Cost     one read, one write; a block of Philox for eight elements.
/// Laws     bit for bit the CPU's.
inline void convert_at_random(const Cuda& device, std::size_t n, const float* in, bf16* out,
                              std::uint64_t seed, std::uint64_t stream, std::uint64_t first) {
  using K = kernels::ConvertAtRandom;
  const std::size_t blocks = kernels::ceil_div(n, std::size_t{K::threads} * K::N);
  cohort::cuda::launch(device, static_cast<int>(blocks),
                       K{n, in, out, seed, stream, first, kernels::aligned(16, in, out)});
}

}  // namespace cohort::ops
