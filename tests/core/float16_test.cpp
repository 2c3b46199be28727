// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/float16_test.cpp: every 16-bit value there and back, and rounding, against Eigen's definitions.
#include <cohort/core/float16.hpp>

#include <doctest/doctest.h>

#if __has_include(<cuda_bf16.h>) && __has_include(<cuda_fp16.h>)
#define COHORT_TEST_HAS_CUDA_TYPES 1  // their host definitions; no GPU and no library is needed
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include <Eigen/Core>
#include <cmath>
#include <concepts>
#include <limits>
#include <vector>

using namespace cohort;

namespace {

// No arithmetic and nothing implicit: a mixture of types does not compile.
static_assert(!std::convertible_to<float, bf16> && !std::convertible_to<bf16, float>);
static_assert(!std::convertible_to<float, fp16> && !std::convertible_to<fp16, float>);
static_assert(!std::constructible_from<bf16, fp16> && !std::constructible_from<fp16, bf16>);
template <class T>
concept Adds = requires(T a, T b) {
  a + b;
};
static_assert(!Adds<bf16> && !Adds<fp16> && Adds<float>);

template <class T> struct Reference;
template <> struct Reference<bf16> {
  using type = Eigen::bfloat16;
  static type of(std::uint16_t bits) { return Eigen::bfloat16_impl::raw_uint16_to_bfloat16(bits); }
  static std::uint16_t bits(type x) { return x.value; }
  static constexpr int precision = 8, lowest = -133;  // bits; 2^lowest is the smallest number
};
template <> struct Reference<fp16> {
  using type = Eigen::half;
  static type of(std::uint16_t bits) { return Eigen::half_impl::raw_uint16_to_half(bits); }
  static std::uint16_t bits(type x) { return std::bit_cast<std::uint16_t>(x); }
  static constexpr int precision = 11, lowest = -24;
};

/// The values around every 16-bit number where rounding decides: ties, one float beside them, and the number.
template <class T, class F> void for_decisive_floats(F f) {
  for (std::uint32_t bits = 0; bits < 0x8000; ++bits) {
    const float low = float(T::from_bits(static_cast<std::uint16_t>(bits)));
    const float high = float(T::from_bits(static_cast<std::uint16_t>(bits + 1)));
    const float middle = low / 2 + high / 2;
    for (float x : {low, middle, std::nextafter(middle, low), std::nextafter(middle, high),
                    std::nextafter(high, low)}) {
      f(x);
      f(-x);
    }
  }
}

TEST_CASE_TEMPLATE("float16: all 65,536 values to float as Eigen's, and back to themselves", T,
                   bf16, fp16) {
  int wrong_up = 0, wrong_back = 0, wrong_nan = 0;
  for (std::uint32_t b = 0; b < 0x10000; ++b) {
    const T value = T::from_bits(static_cast<std::uint16_t>(b));
    const float ours = float(value);
    const float theirs = static_cast<float>(Reference<T>::of(value.bits));
    if (std::isnan(theirs)) {
      const bool quiet = float(T(ours)) != float(T(ours));
      wrong_nan += !std::isnan(ours) || !quiet || std::signbit(ours) != (b >= 0x8000);
    } else {
      wrong_up += std::bit_cast<std::uint32_t>(ours) != std::bit_cast<std::uint32_t>(theirs);
      wrong_back += T(ours).bits != value.bits;
    }
  }
  CHECK(wrong_up == 0);
  CHECK(wrong_back == 0);
  CHECK(wrong_nan == 0);
}

TEST_CASE_TEMPLATE("float16: rounding at every tie and beside it as Eigen's", T, bf16, fp16) {
  int wrong = 0, seen = 0;
  for_decisive_floats<T>([&](float x) {
    if (std::isnan(x)) return;
    ++seen;
    wrong += T(x).bits != Reference<T>::bits(typename Reference<T>::type(x));
  });
  CHECK(seen > 200'000);
  CHECK(wrong == 0);
}

TEST_CASE_TEMPLATE("float16: rounding is to nearest, ties to even, by the definition", T, bf16,
                   fp16) {
  using R = Reference<T>;
  const double largest = float(T::from_bits(std::is_same_v<T, bf16> ? 0x7f7f : 0x7bff));
  int wrong = 0;
  for_decisive_floats<T>([&](float x) {
    if (!std::isfinite(x) || std::fabs(x) > largest) return;
    // The spacing of T's numbers around x: 2^(exponent - precision + 1), at least 2^lowest.
    int exponent = 0;
    std::frexp(x, &exponent);
    const double unit = std::ldexp(1.0, std::max(exponent - R::precision, R::lowest));
    wrong += double(float(T(x))) != std::nearbyint(double(x) / unit) * unit;  // exact but for ties
  });
  CHECK(wrong == 0);
}

#ifdef COHORT_TEST_HAS_CUDA_TYPES
template <class T> struct Cuda;
template <> struct Cuda<bf16> {
  static float widen(std::uint16_t bits) {
    return __bfloat162float(__nv_bfloat16(__nv_bfloat16_raw{bits}));
  }
  static std::uint16_t round(float x) {
    return static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(x)).x;
  }
};
template <> struct Cuda<fp16> {
  static float widen(std::uint16_t bits) { return __half2float(__half(__half_raw{bits})); }
  static std::uint16_t round(float x) { return static_cast<__half_raw>(__float2half_rn(x)).x; }
};
static_assert(sizeof(bf16) == sizeof(__nv_bfloat16) && sizeof(fp16) == sizeof(__half));

TEST_CASE_TEMPLATE("float16: all 65,536 values, every tie and beside it, as CUDA defines them", T,
                   bf16, fp16) {
  int wrong = 0;
  for (std::uint32_t b = 0; b < 0x10000; ++b) {
    const auto bits = static_cast<std::uint16_t>(b);
    const float ours = float(T::from_bits(bits)), theirs = Cuda<T>::widen(bits);
    const bool nan = std::isnan(ours) && std::isnan(theirs);
    wrong += !nan && std::bit_cast<std::uint32_t>(ours) != std::bit_cast<std::uint32_t>(theirs);
  }
  for_decisive_floats<T>([&](float x) {
    if (!std::isnan(x)) wrong += T(x).bits != Cuda<T>::round(x);
  });
  CHECK(wrong == 0);
}
#endif

TEST_CASE("float16: special values") {
  constexpr float inf = std::numeric_limits<float>::infinity();
  CHECK(bf16(inf).bits == 0x7f80);
  CHECK(bf16(-inf).bits == 0xff80);
  CHECK(bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(bf16(-0.0f).bits == 0x8000);
  CHECK(bf16(std::bit_cast<float>(0x7f800001u)).bits == 0x7fc0);  // signalling: made quiet
  CHECK(bf16(std::bit_cast<float>(0xffc12345u)).bits == 0xffc1);
  CHECK(fp16(inf).bits == 0x7c00);
  CHECK(fp16(65519.996f).bits == 0x7bff);
  CHECK(fp16(65520.0f).bits == 0x7c00);
  CHECK(fp16(1e30f).bits == 0x7c00);
  CHECK(fp16(-0.0f).bits == 0x8000);
  CHECK(fp16(0x1p-24f).bits == 0x0001);
  CHECK(fp16(0x1p-25f).bits == 0x0000);  // a tie: to even
  CHECK(fp16(0x1.000002p-25f).bits == 0x0001);
  CHECK(fp16(std::bit_cast<float>(0xff800001u)).bits == 0xfe00);
  CHECK(fp16(std::bit_cast<float>(0x00000001u)).bits == 0x0000);
}

}  // namespace
