// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/convert.hpp: arrays from one element type to another, rounded to nearest or at random.
#pragma once
#include <bit>
#include <cohort/core/dtype.hpp>
#include <cohort/core/rng.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/philox.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cohort::ops {

namespace detail {
template <class T> inline constexpr bool of_float = Float16<T> || std::is_same_v<T, float>;
}

/// out[i] = To(in[i]): nearest, ties to even, where To is narrower; exact where it is wider.
///
/// Shapes   in, out [n]; they must not overlap.
/// Cost     one pass.
/// Laws     an element's bits depend on its value only.
template <class To, class G, class From>
void convert(const Cpu<G>&, std::size_t n, const From* __restrict in, To* __restrict out) {
  if constexpr (detail::of_float<To> && detail::of_float<From>)
    map(
        n, [](auto v) { return v; }, out, in);
  else
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<To>(in[i]);
}

/// out[i] = To(in[i] * factor), rounded once.
template <class To, class G>
void convert_scaled(const Cpu<G>&, std::size_t n, float factor, const float* in, To* out) {
  map(
      n, [factor](auto v) { return v * factor; }, out, in);
}
/// The same on a GPU: ops/cuda/convert.hpp.
template <class To>
void convert_scaled(const Cuda&, std::size_t n, float factor, const float* in, To* out);

/// x rounded down or up to a neighbour in bf16, up with the probability of the fraction that rounding
/// down would drop: the mean over `random` (16 uniform bits) is x. Infinities and NaN as in bf16(x).
constexpr bf16 round_at_random(float x, std::uint32_t random) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  const bool finite = (u & 0x7f800000) != 0x7f800000;
  return finite ? bf16::from_bits(static_cast<std::uint16_t>((u + (random & 0xffff)) >> 16))
                : bf16(x);
}

namespace detail {
/// The same, for a register of numbers and of random bits below 2^16.
[[gnu::always_inline]] inline Halves round_at_random(Vec<float> x, Vec<std::uint32_t> random) {
  const auto u = std::bit_cast<Vec<std::uint32_t>>(x);
  const auto finite = (u & 0x7f800000) != 0x7f800000;
  const auto whole = select(x != x, u | 0x00400000, u);
  return upper_halves(select(finite, u + random, whole));
}
}  // namespace detail

/// out[i] = round_at_random(in[i]) with the bits of element (seed, stream, first + i).
///
/// Cost     0.4 ns an element (AVX-512, in cache): eight elements share a block of Philox.
/// Laws     an element's bits depend on its value and its index only: cutting an array into shards
///          changes nothing.
/// Source   Gupta et al. 2015, arXiv:1502.02551.
template <class G>
void convert_at_random(const Cpu<G>&, std::size_t n, const float* in, bf16* out, std::uint64_t seed,
                       std::uint64_t stream, std::uint64_t first) {
  constexpr std::size_t batch = 8 * philox_lanes;
  const Philox random(seed);
  std::size_t i = 0;
  const auto one_block = [&] {  // the rest of the block that element i lies in
    const std::uint64_t index = first + i;
    const Philox::Counter words = random(stream, index >> 3);
    for (std::uint64_t k = index & 7; k < 8 && i < n; ++k, ++i)
      out[i] = round_at_random(in[i], words[k >> 1] >> (16 * (k & 1)));
  };
  if ((first & 7) != 0) one_block();
  alignas(register_bytes) std::uint32_t words[4 * philox_lanes];
  for (; std::endian::native == std::endian::little && i + batch <= n; i += batch) {
    philox_blocks(seed, stream, (first + i) >> 3, words);
    for (std::size_t j = 0; j < batch; j += philox_lanes) {
      detail::Halves bits;
      std::memcpy(&bits, words + j / 2, sizeof bits);
      bits = detail::round_at_random(load(in + i + j), detail::as_upper_halves(bits) >> 16);
      std::memcpy(static_cast<void*>(out + i + j), &bits, sizeof bits);
    }
  }
  while (i < n) one_block();
}

// The same on a GPU: ops/cuda/convert.hpp.
template <class To, class From> void convert(const Cuda&, std::size_t n, const From* in, To* out);
void convert_at_random(const Cuda&, std::size_t n, const float* in, bf16* out, std::uint64_t seed,
                       std::uint64_t stream, std::uint64_t first);

}  // namespace cohort::ops
