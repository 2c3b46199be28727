// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/float16.hpp: the 16-bit floating-point types: storage and conversions, no arithmetic.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>

namespace cohort {

/// bfloat16: the upper half of a float. 8 bits of exponent as float, 8 of precision.
///
/// Units    bits as IEEE 754 orders them; the same as CUDA's __nv_bfloat16.
/// Laws     from float: to nearest, ties to even; a NaN stays one, quiet, with its sign and upper
///          payload. To float: exact. No branch, so loops of conversions are vectorised
///          (tests/core/float16_test.cpp: all 65,536 values against Eigen).
struct bf16 {
  std::uint16_t bits = 0;

  constexpr bf16() = default;
  constexpr explicit bf16(float value) : bits(rounded(std::bit_cast<std::uint32_t>(value))) {}
  static constexpr bf16 from_bits(std::uint16_t bits) {
    bf16 out;
    out.bits = bits;
    return out;
  }
  constexpr explicit operator float() const {
    return std::bit_cast<float>(std::uint32_t{bits} << 16);
  }

 private:
  static constexpr std::uint16_t rounded(std::uint32_t u) {
    const std::uint32_t even = (u + 0x7fff + (u >> 16 & 1)) >> 16;
    const bool nan = (u & 0x7fffffff) > 0x7f800000;
    return static_cast<std::uint16_t>(nan ? u >> 16 | 0x40 : even);
  }
};

/// IEEE 754 binary16: 5 bits of exponent, 11 of precision; largest 65504, smallest 2^-24.
///
/// Units    bits as CUDA's __half.
/// Laws     as bf16; from 65520 on numbers round to infinity, below 2^-14 they lose bits and are
///          rounded once. Subnormals of float16 are never subnormals of float on the way.
struct fp16 {
  std::uint16_t bits = 0;

  constexpr fp16() = default;
  constexpr explicit fp16(float value) : bits(rounded(std::bit_cast<std::uint32_t>(value))) {}
  static constexpr fp16 from_bits(std::uint16_t bits) {
    fp16 out;
    out.bits = bits;
    return out;
  }
  constexpr explicit operator float() const {
    const std::uint32_t shifted = (bits & 0x7fffu) << 13;  // exponent still biased by 15
    const std::uint32_t normal = shifted + (112u << 23);
    const std::uint32_t quiet = shifted > 0x0f800000 ? 0x00400000 : 0;  // as processors make NaNs
    const std::uint32_t beyond = shifted | 0x7f800000 | quiet;          // infinities and NaNs
    // 2^-14 + m 2^-24 is exact, and so is the difference.
    const float tiny = std::bit_cast<float>(shifted + (113u << 23)) - 0x1p-14f;
    const std::uint32_t finite = shifted < 0x00800000 ? std::bit_cast<std::uint32_t>(tiny) : normal;
    const std::uint32_t magnitude = shifted >= 0x0f800000 ? beyond : finite;
    return std::bit_cast<float>((bits & 0x8000u) << 16 | magnitude);
  }

 private:
  static constexpr std::uint16_t rounded(std::uint32_t u) {
    const std::uint32_t sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
    const std::uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
    // Added to 0.5, whose last bit is worth 2^-24, the number is rounded to a multiple of it.
    const float shifted = std::bit_cast<float>(magnitude < 0x38800000 ? magnitude : 0) + 0.5f;
    const std::uint32_t tiny = std::bit_cast<std::uint32_t>(shifted) - 0x3f000000;
    const std::uint32_t finite = magnitude < 0x38800000 ? tiny : normal;
    const std::uint32_t bounded = magnitude >= 0x477ff000 ? 0x7c00 : finite;
    const std::uint32_t nan = 0x7e00 | (magnitude >> 13 & 0x3ff);
    return static_cast<std::uint16_t>(sign | (magnitude > 0x7f800000 ? nan : bounded));
  }
};

/// The storage types: 16 bits, no arithmetic.
template <class T>
concept Float16 = std::same_as<T, bf16> || std::same_as<T, fp16>;

static_assert(sizeof(bf16) == 2 && sizeof(fp16) == 2);
static_assert(bf16(1.0f).bits == 0x3f80 && float(fp16(65519.0f)) == 65504.0f);

}  // namespace cohort
