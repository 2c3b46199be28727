// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/convert.hpp: arrays from one element type to another, rounded to nearest or at random.
#pragma once
#include <bit>
#include <cohort/core/dtype.hpp>
#include <cohort/core/rng.hpp>
#include <cohort/device/cpu.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace cohort::ops {

namespace detail {
/// How many leading elements the processor's own conversion took: a multiple of eight, or none.
/// Its bits are those of fp16(float) (tests/ops/convert_test.cpp).
inline std::size_t convert_in_hardware([[maybe_unused]] std::size_t n,
                                       [[maybe_unused]] const float* in,
                                       [[maybe_unused]] fp16* out) {
  std::size_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), halves);
  }
#endif
  return i;
}
}  // namespace detail

/// out[i] = To(in[i]): nearest, ties to even, where To is narrower; exact where it is wider.
///
/// Shapes   in, out [n]; they must not overlap.
/// Cost     one pass.
/// Laws     an element's bits depend on its value only.
template <class To, class G, class From>
void convert(const Cpu<G>&, std::size_t n, const From* __restrict in, To* __restrict out) {
  std::size_t i = 0;
  if constexpr (std::is_same_v<To, fp16> && std::is_same_v<From, float>)
    i = detail::convert_in_hardware(n, in, out);
  for (; i < n; ++i) out[i] = static_cast<To>(in[i]);
}

/// x rounded down or up to a neighbour in bf16, up with the probability of the fraction that rounding
/// down would drop: the mean over `random` (16 uniform bits) is x. Infinities and NaN as in bf16(x).
constexpr bf16 round_at_random(float x, std::uint32_t random) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  const bool finite = (u & 0x7f800000) != 0x7f800000;
  return finite ? bf16::from_bits(static_cast<std::uint16_t>((u + (random & 0xffff)) >> 16))
                : bf16(x);
}

/// out[i] = round_at_random(in[i]) with the bits of element (seed, stream, first + i).
///
/// Laws     an element's bits depend on its value and its index only: cutting an array into shards
///          changes nothing.
/// Source   Gupta et al. 2015, arXiv:1502.02551.
template <class G>
void convert_at_random(const Cpu<G>&, std::size_t n, const float* in, bf16* out, std::uint64_t seed,
                       std::uint64_t stream, std::uint64_t first) {
  const Philox random(seed);
  for (std::size_t i = 0; i < n;) {
    const std::uint64_t index = first + i;
    const Philox::Counter words = random(stream, index >> 3);  // eight elements a block
    for (std::uint64_t k = index & 7; k < 8 && i < n; ++k, ++i)
      out[i] = round_at_random(in[i], words[k >> 1] >> (16 * (k & 1)));
  }
}

}  // namespace cohort::ops
