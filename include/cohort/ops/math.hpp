// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/math.hpp: exp, log, tanh and erf as branch-free functors over scalars and vectors.
#pragma once
#include <bit>
#include <cmath>
#include <cohort/core/host_device.hpp>
#include <cohort/ops/vector.hpp>
#include <cstdint>
#include <type_traits>

/// Errors in units in the last place, against fp64: the largest over all floats, stated at each
/// functor. Infinities, NaN, zeros and denormals give what <cmath> gives.
///
/// float and vectors of float run the polynomials below; double and vectors of double call <cmath>.
/// Coefficients: weighted minimax fits (Lawson's algorithm, 120-bit arithmetic), made for cohort.
namespace cohort::ops {

namespace detail {

template <class V> struct bits_of { using type = Vec<std::int32_t>; };
template <> struct bits_of<float> { using type = std::int32_t; };
template <class V> using bits_t = typename bits_of<V>::type;

template <class V> constexpr V constant(float c) { return c - V{}; }
template <class V> constexpr V number(double c) { return element_t<V>(c) - V{}; }
template <class V> constexpr bits_t<V> as_bits(V x) { return std::bit_cast<bits_t<V>>(x); }
template <class V> constexpr V from_bits(bits_t<V> b) { return std::bit_cast<V>(b); }
template <class V> constexpr V magnitude(V x) { return from_bits<V>(as_bits(x) & 0x7fffffff); }
template <class V> constexpr V with_sign(V x, V sign) {
  return from_bits<V>(as_bits(x) | (as_bits(sign) & std::int32_t(0x80000000)));
}

/// c0 + c1 x + c2 x^2 + ...
template <class V> constexpr V polynomial(V, float c0) { return constant<V>(c0); }
template <class V, class... C> constexpr V polynomial(V x, float c0, C... c) {
  return fma(polynomial(x, c...), x, constant<V>(c0));
}

/// x = n ln2 + r with |r| <= ln2 / 2; n as an integer. Adding 1.5 * 2^23 rounds to an integer.
template <class V> struct Reduced {
  V r;
  bits_t<V> n;
};
template <class V> constexpr Reduced<V> reduce_by_ln2(V x) {
  constexpr float magic = 12582912.0f;
  const V shifted = fma(x, constant<V>(1.44269504f), constant<V>(magic));
  const V n = shifted - magic;
  const V high = fma(n, constant<V>(-0.693359375f), x);
  const V r = fma(n, constant<V>(2.12194440e-4f), high);
  return {r, (as_bits(shifted) & 0x7fffff) - 0x400000};  // magic's mantissa is 0x400000
}
/// e^r - 1 for |r| <= ln2 / 2.
template <class V> constexpr V exp_minus_1(V r) {
  const V p =
      polynomial(r, 0.4999999341f, 0.1666652011f, 0.04166839426f, 0.008368780622f, 0.001381446475f);
  return fma(p, r * r, r);
}
/// 2^n for -126 <= n <= 127.
template <class V> constexpr V power_of_two(bits_t<V> n) { return from_bits<V>((n + 127) << 23); }

template <class F, class V> COHORT_HOST_DEVICE inline V each_lane(F f, V x) {
  if constexpr (std::is_arithmetic_v<V>) {
    return f(x);
  } else {
    for (int i = 0; i < static_cast<int>(sizeof(V) / sizeof(x[0])); ++i) x[i] = f(x[i]);
    return x;
  }
}

/// Correctly rounded; the lanes become one vector square root.
template <class A> [[gnu::always_inline]] inline Vec<A> square_root(Vec<A> x) {
#if defined(__CUDACC__)
#elif defined(__AVX512F__)
  // Masked with all lanes: g++ 12 warns of the unmasked ones' undefined source.
  if constexpr (std::is_same_v<A, float>)
    return (Vec<A>)_mm512_mask_sqrt_ps((__m512)x, 0xffff, (__m512)x);
  if constexpr (std::is_same_v<A, double>)
    return (Vec<A>)_mm512_mask_sqrt_pd((__m512d)x, 0xff, (__m512d)x);
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<A, float>) return (Vec<A>)_mm256_sqrt_ps((__m256)x);
  if constexpr (std::is_same_v<A, double>) return (Vec<A>)_mm256_sqrt_pd((__m256d)x);
#endif
  for (int i = 0; i < lanes<A>; ++i) x[i] = std::sqrt(x[i]);
  return x;
}

template <class V> inline constexpr bool is_double = std::is_same_v<element_t<V>, double>;

}  // namespace detail

/// e^x. Error <= 1.1 ulp. Two factors 2^(n/2) make results below 2^-126 round once, and overflow late.
struct Exp {
  template <class V> COHORT_HOST_DEVICE constexpr V operator()(V x) const {
    if constexpr (detail::is_double<V>) {
      return detail::each_lane([](double v) { return std::exp(v); }, x);
    } else {
      const V low = detail::constant<V>(-104.5f), high = detail::constant<V>(89.0f);
      x = select(x < low, low, x);
      x = select(x > high, high, x);
      const auto [r, n] = detail::reduce_by_ln2(x);
      const auto half = n >> 1;
      return (detail::exp_minus_1(r) + 1.0f) * detail::power_of_two<V>(half) *
             detail::power_of_two<V>(n - half);
    }
  }
};

/// e^x for x <= 88, results below 2^-126 flushed to 0: two thirds of the work of Exp, for softmax and
/// densities. Error <= 1.1 ulp. NaN stays NaN; beyond 88 the result means nothing.
struct ExpFlushed {
  template <class V> COHORT_HOST_DEVICE constexpr V operator()(V x) const {
    if constexpr (detail::is_double<V>) {
      return Exp{}(x);
    } else {
      const auto [r, n] = detail::reduce_by_ln2(x);
      const V y = (detail::exp_minus_1(r) + 1.0f) * detail::power_of_two<V>(n);
      return select(x < detail::constant<V>(-87.33654f), V{}, y);
    }
  }
};

/// ln x. Error <= 1.5 ulp. 0 gives -inf, a negative number NaN.
struct Log {
  template <class V> COHORT_HOST_DEVICE constexpr V operator()(V x) const {
    if constexpr (detail::is_double<V>) {
      return detail::each_lane([](double v) { return std::log(v); }, x);
    } else {
      constexpr float infinity = __builtin_inff(), nan = __builtin_nanf("");
      const V zero = detail::constant<V>(0.0f), tiny = detail::constant<V>(1.17549435e-38f);
      const V normal = select(x < tiny, x * 8388608.0f, x);
      // Halfway between sqrt(1/2) and sqrt(2) in bits: the mantissa m is in [0.707, 1.414].
      const auto bits = detail::as_bits(detail::magnitude(normal)) - 0x3f3504f3;
      const V m = detail::from_bits<V>((bits & 0x007fffff) + 0x3f3504f3);
      const V n = exponent<V>(bits >> 23) - select(x < tiny, detail::constant<V>(23.0f), zero);
      const V f = m - 1.0f, f2 = f * f;
      const V tail = detail::polynomial(f, 0.333333126f, -0.250000096f, 0.2000211873f,
                                        -0.1666799567f, 0.1421955091f, -0.1240559142f, 0.118881746f,
                                        -0.116756413f, 0.06746601328f);
      V y = fma(fma(tail, f, detail::constant<V>(-0.5f)), f2,
                fma(n, detail::constant<V>(-2.12194440e-4f), f));
      y = fma(n, detail::constant<V>(0.693359375f), y);
      y = select(x < detail::constant<V>(infinity), y, x);  // +inf and NaN stay
      y = select(x == zero, detail::constant<V>(-infinity), y);
      return select(x < zero, detail::constant<V>(nan), y);
    }
  }

 private:
  /// A small integer as a number of V: |n| < 2^22, through the bits of 1.5 * 2^23 + n.
  template <class V> static constexpr V exponent(detail::bits_t<V> n) {
    constexpr float magic = 12582912.0f;
    return detail::from_bits<V>(n + std::bit_cast<std::int32_t>(magic)) - magic;
  }
};

/// tanh x = e / (e + 2) with e = exp(2|x|) - 1, which loses nothing near 0. Error <= 2.5 ulp.
struct Tanh {
  template <class V> COHORT_HOST_DEVICE constexpr V operator()(V x) const {
    if constexpr (detail::is_double<V>) {
      return detail::each_lane([](double v) { return std::tanh(v); }, x);
    } else {
      const V limit = detail::constant<V>(20.0f);  // tanh(10) rounds to 1
      V twice = 2.0f * detail::magnitude(x);
      twice = select(twice > limit, limit, twice);
      const auto [r, n] = detail::reduce_by_ln2(twice);
      const V scale = detail::power_of_two<V>(n);
      const V e = fma(detail::exp_minus_1(r), scale, scale - 1.0f);
      return detail::with_sign(e / (e + 2.0f), x);
    }
  }
};

/// erf x: x + x P(x^2) below 0.92, 1 - exp(-t Q(t)) with t = |x| above. Error <= 1.5 ulp.
struct Erf {
  template <class V> COHORT_HOST_DEVICE constexpr V operator()(V x) const {
    if constexpr (detail::is_double<V>) {
      return detail::each_lane([](double v) { return std::erf(v); }, x);
    } else {
      const V limit = detail::constant<V>(4.0f);  // erf(4) rounds to 1
      V t = detail::magnitude(x);
      t = select(t > limit, limit, t);
      const V s = x * x;
      const V p =
          detail::polynomial(s, 0.1283791666f, -0.3761263319f, 0.1128368719f, -0.02685894148f,
                             0.005199906607f, -0.0008130012015f, 8.316772635e-5f);
      const V small = fma(x, p, x);
      const V large =
          1.0f - Exp{}(-t * detail::polynomial(t, 1.128541439f, 0.6356731498f, 0.105169495f,
                                               -0.0225756157f, 0.002869120926f, -2.743513839e-5f,
                                               -4.994048657e-5f, 5.297002975e-6f));
      const V signed_large = detail::with_sign(large, x);
      return select(t < detail::constant<V>(0.92f), small, signed_large);
    }
  }
};

/// What activations compute with: the functors above. A GPU has instructions of its own for them
/// (ops/cuda/math.hpp).
struct OwnMaths {
  template <class V> COHORT_HOST_DEVICE static constexpr V exp(V x) { return Exp{}(x); }
  template <class V> COHORT_HOST_DEVICE static constexpr V exp_flushed(V x) {
    return ExpFlushed{}(x);
  }
  template <class V> COHORT_HOST_DEVICE static constexpr V reciprocal(V x) {
    return detail::number<V>(1.0) / x;
  }
};

}  // namespace cohort::ops
