// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/float16_lanes.hpp: registers of floats from and to the bits of the 16-bit types.
#pragma once
#include <bit>
#include <cohort/core/float16.hpp>
#include <cohort/ops/register.hpp>
#include <cstring>

namespace cohort::ops {

namespace detail {
/// As many 16-bit values as a register has floats.
using Halves = vector_of<std::uint16_t, register_bytes / 2>::type;

#if defined(__CUDACC__)  // loops over the scalars' conversions
inline Vec<std::uint32_t> as_upper_halves(Halves h) {
  return convert_lanes<Vec<std::uint32_t>>(h) << 16;
}
inline Halves upper_halves(Vec<std::uint32_t> u) { return convert_lanes<Halves>(u >> 16); }
template <class T> inline Vec<float> widen(Halves h) {
  Vec<float> v{};
  for (int i = 0; i < lanes<float>; ++i) v[i] = float(T::from_bits(h[i]));
  return v;
}
template <class T> inline Halves narrow(Vec<float> v) {
  Halves h{};
  for (int i = 0; i < lanes<float>; ++i) h[i] = T(v[i]).bits;
  return h;
}
template <class T> inline Halves load_bits(const T* from, int n) {
  Halves h{};
  for (int i = 0; i < n; ++i) h[i] = from[i].bits;
  return h;
}
template <class T> inline void store_bits(T* to, Halves h, int n) {
  for (int i = 0; i < n; ++i) to[i] = T::from_bits(h[i]);
}
#else

/// The lanes' upper halves are the values, their lower halves 0; and the lanes' upper halves alone.
/// By intrinsics, where g++ 12 needs many instructions; masked with all lanes, where it warns of others.
[[gnu::always_inline]] inline Vec<std::uint32_t> as_upper_halves(Halves h) {
#if defined(__AVX512F__)
  return (Vec<std::uint32_t>)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)h) << 16;
#elif defined(__AVX2__)
  return (Vec<std::uint32_t>)_mm256_cvtepu16_epi32((__m128i)h) << 16;
#else
  return convert_lanes<Vec<std::uint32_t>>(h) << 16;
#endif
}
[[gnu::always_inline]] inline Halves upper_halves(Vec<std::uint32_t> u) {
#if defined(__AVX512VBMI__)
  Vec<std::uint8_t> bytes{};
  for (int i = 0; i < 32; ++i) bytes[i] = static_cast<std::uint8_t>(i + i / 2 * 2 + 2);
  struct {
    Halves low, unused;
  } all;
  const __m512i packed = _mm512_maskz_permutexvar_epi8(~0ull, (__m512i)bytes, (__m512i)u);
  std::memcpy(&all, &packed, sizeof all);
  return all.low;
#elif defined(__AVX512F__)
  return (Halves)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)(u >> 16));
#elif defined(__AVX2__)
  const __m256i twice = _mm256_packus_epi32((__m256i)(u >> 16), (__m256i)(u >> 16));
  return (Halves)_mm256_castsi256_si128(_mm256_permute4x64_epi64(twice, 0x08));
#else
  return convert_lanes<Halves>(u >> 16);
#endif
}

/// float(x) of values given by their bits: exact.
template <class T> [[gnu::always_inline]] inline Vec<float> widen(Halves h) {
  if constexpr (std::is_same_v<T, bf16>) return std::bit_cast<Vec<float>>(as_upper_halves(h));
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_maskz_cvtph_ps(0xffff, (__m256i)h);
#elif defined(__F16C__)
  return (Vec<float>)_mm256_cvtph_ps((__m128i)h);
#else
  Vec<float> v;
  for (int i = 0; i < lanes<float>; ++i) v[i] = float(fp16::from_bits(h[i]));
  return v;
#endif
}

/// The bits of T(x), to nearest, ties to even. bf16 by the integers of its definition; AVX512_BF16's
/// instruction does the same, but flushes denormals to zero: it serves where there are none.
template <class T> [[gnu::always_inline]] inline Halves narrow(Vec<float> v) {
  if constexpr (std::is_same_v<T, bf16>) {
#if defined(__AVX512BF16__) && defined(__AVX512DQ__)
    if (_mm512_fpclass_ps_mask((__m512)v, 0x20) == 0) [[likely]]
      return (Halves)_mm512_maskz_cvtneps_pbh(0xffff, (__m512)v);
#endif
    const auto u = std::bit_cast<Vec<std::uint32_t>>(v);
    const auto even = select((u & 0x10000) != 0, u + 0x8000, u + 0x7fff);
    return upper_halves(select(v != v, u | 0x00400000, even));
  }
#if defined(__AVX512F__)
  return (Halves)_mm512_maskz_cvtps_ph(0xffff, (__m512)v, _MM_FROUND_TO_NEAREST_INT);
#elif defined(__F16C__)
  return (Halves)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT);
#else
  Halves h;
  for (int i = 0; i < lanes<float>; ++i) h[i] = fp16(v[i]).bits;
  return h;
#endif
}

/// n < lanes values, the others 0; and the first n of a register.
template <class T> [[gnu::always_inline]] inline Halves load_bits(const T* from, int n) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  return (Halves)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), from);
#else
  Halves h{};
  for (int i = 0; i < n; ++i) h[i] = from[i].bits;
  return h;
#endif
}
template <class T> [[gnu::always_inline]] inline void store_bits(T* to, Halves h, int n) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1u << n) - 1), (__m256i)h);
#else
  for (int i = 0; i < n; ++i) to[i] = T::from_bits(h[i]);
#endif
}
#endif
}  // namespace detail

}  // namespace cohort::ops
