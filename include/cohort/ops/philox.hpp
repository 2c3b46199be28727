// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/philox.hpp: the random numbers of core/rng.hpp, a register of counters at a time.
#pragma once
#include <cohort/core/rng.hpp>
#include <cohort/ops/vector.hpp>
#include <cstdint>
#include <cstring>
#include <utility>

namespace cohort::ops {

namespace detail {
#if (defined(__AVX512F__) || defined(__AVX2__)) && !defined(__CUDACC__)
using Words = Vec<std::uint32_t>;

/// Runs of Run lanes from a and b in turn, beginning at lane First of each.
template <int First, int Run> [[gnu::always_inline]] inline Words interleave(Words a, Words b) {
  return [&]<int... L>(std::integer_sequence<int, L...>) __attribute__((always_inline)) {
    return __builtin_shufflevector(
        a, b,
        (First + L / (2 * Run) * Run + L % Run + (L / Run % 2 ? lanes<std::uint32_t> : 0))...);
  }
  (std::make_integer_sequence<int, lanes<std::uint32_t>>{});
}

/// Upper and lower halves of the 64-bit products of each lane with one factor.
struct Product {
  Words high, low;
};
[[gnu::always_inline]] inline Product product(Words a, std::uint32_t factor) {
  const auto odd_lanes = std::bit_cast<Vec<std::uint64_t>>(a) >> 32;
#if defined(__AVX512F__)  // masked with all lanes: g++ 12 warns of the unmasked one
  const __m512i f = _mm512_set1_epi64(factor);
  const auto even = (Words)_mm512_maskz_mul_epu32(0xff, (__m512i)a, f);
  const auto odd = (Words)_mm512_maskz_mul_epu32(0xff, (__m512i)odd_lanes, f);
#else
  const __m256i f = _mm256_set1_epi64x(factor);
  const auto even = (Words)_mm256_mul_epu32((__m256i)a, f);
  const auto odd = (Words)_mm256_mul_epu32((__m256i)odd_lanes, f);
#endif
  return [&]<int... L>(std::integer_sequence<int, L...>) __attribute__((always_inline)) {
    constexpr int n = lanes<std::uint32_t>;
    return Product{__builtin_shufflevector(even, odd, (L % 2 ? n + L : L + 1)...),
                   __builtin_shufflevector(even, odd, (L % 2 ? n + L - 1 : L)...)};
  }
  (std::make_integer_sequence<int, lanes<std::uint32_t>>{});
}
#endif
}  // namespace detail

/// Blocks that philox_blocks makes in one call.
inline constexpr int philox_lanes = lanes<std::uint32_t>;

/// Blocks first, first + 1, ... of a stream: word w of block first + b goes to out[4 b + w].
///
/// Shapes   out[4 philox_lanes].
/// Cost     0.15 ns a word (AVX-512); without AVX2 that of Philox itself.
/// Laws     out + 4 b holds Philox(seed)(stream, first + b) (tests/ops/philox_test.cpp).
[[gnu::always_inline]] inline void philox_blocks(std::uint64_t seed, std::uint64_t stream,
                                                 std::uint64_t first, std::uint32_t* out) {
#if (defined(__AVX512F__) || defined(__AVX2__)) && !defined(__CUDACC__)
  using detail::Words;
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  Words lane{};
  for (int i = 0; i < philox_lanes; ++i) lane[i] = static_cast<std::uint32_t>(i);
  const Words c0 = lane + low(first), one = Words{} + 1;
  const Words carry = c0 < lane ? one : Words{};  // lane + low(first) wrapped
  Words c[4] = {c0, carry + high(first), Words{} + low(stream), Words{} + high(stream)};
  std::uint32_t k0 = low(seed), k1 = high(seed);
  repeat<10>([&](auto) {
    const auto a = detail::product(c[0], 0xD2511F53), b = detail::product(c[2], 0xCD9E8D57);
    c[0] = b.high ^ c[1] ^ k0, c[1] = b.low;
    c[2] = a.high ^ c[3] ^ k1, c[3] = a.low;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  });
  constexpr int half = philox_lanes / 2;
  const Words w01[] = {detail::interleave<0, 1>(c[0], c[1]),
                       detail::interleave<half, 1>(c[0], c[1])};
  const Words w23[] = {detail::interleave<0, 1>(c[2], c[3]),
                       detail::interleave<half, 1>(c[2], c[3])};
  repeat<2>([&](auto i) {
    const Words w[] = {detail::interleave<0, 2>(w01[i], w23[i]),
                       detail::interleave<half, 2>(w01[i], w23[i])};
    std::memcpy(out + i * 2 * philox_lanes, w, sizeof w);
  });
#else
  for (int b = 0; b < philox_lanes; ++b) {
    const Philox::Counter words = Philox(seed)(stream, first + static_cast<std::uint64_t>(b));
    std::memcpy(out + 4 * b, words.data(), sizeof words);
  }
#endif
}

}  // namespace cohort::ops
