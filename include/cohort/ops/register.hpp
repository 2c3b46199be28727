// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/register.hpp: vector registers as types, told by the compiler's target.
#pragma once
#include <cmath>
#include <cohort/core/host_device.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#if defined(__CUDACC__)
#include <cohort/ops/lanes.hpp>
#elif defined(__AVX512F__) || defined(__FMA__) || defined(__F16C__)
#include <immintrin.h>
#endif

namespace cohort::ops {

/// Width of a vector register, told by the compiler. g++ 12 plans for 256 bits even where 512 are
/// faster, so every hot loop names its vectors instead of leaving them to the vectoriser.
#if defined(__AVX512F__) && !defined(__CUDACC__)
inline constexpr int register_bytes = 64, num_registers = 32;
#elif defined(__AVX__) && !defined(__CUDACC__)
inline constexpr int register_bytes = 32, num_registers = 16;
#else
inline constexpr int register_bytes = 16, num_registers = 16;
#endif

namespace detail {
#if defined(__CUDACC__)
template <class A, int Bytes = register_bytes> struct vector_of {
  using type = Lanes<A, Bytes / static_cast<int>(sizeof(A))>;
};
#else
template <class A, int Bytes = register_bytes> struct vector_of {
  typedef A type __attribute__((vector_size(Bytes)));
};
#endif
}  // namespace detail

/// A register full of A; the operators of A work on it lane by lane, a comparison gives a mask.
template <class A> using Vec = typename detail::vector_of<A>::type;
/// Elements of a register.
template <class A> inline constexpr int lanes = register_bytes / static_cast<int>(sizeof(A));

/// The value in every lane.
template <class A> constexpr Vec<A> broadcast(A value) { return value - Vec<A>{}; }

namespace detail {
/// float for float and for Vec<float>.
template <class V> struct element_of {
  using type = std::remove_cvref_t<decltype(std::declval<V&>()[0])>;
};
template <class V>
requires std::is_arithmetic_v<V>
struct element_of<V> {
  using type = V;
};
template <class V> using element_t = typename element_of<V>::type;

#if defined(__CUDA_ARCH__) || defined(__FMA__) || !defined(__x86_64__)
inline constexpr bool scalar_fma = true;
#else
inline constexpr bool scalar_fma = false;  // std::fma would be a library call
#endif
}  // namespace detail

/// a * b + c, rounded once where the target can, else twice; for scalars and vectors. The bits law
/// hangs on it: g++ fuses a * b + c wherever it sees both in one basic block, which differs between
/// two inlined copies of one loop. So no op adds a product: it calls fma.
template <class V> [[gnu::always_inline]] constexpr V fma(V a, V b, V c) {
#if defined(__CUDACC__)
  if constexpr (!std::is_arithmetic_v<V>)
    for (int i = 0; i < V::num; ++i) a[i] = fma(a[i], b[i], c[i]);
  else if constexpr (detail::scalar_fma)
    a = std::fma(a, b, c);
  else
    a = a * b + c;
  return a;
#elif defined(__AVX512F__)
  if constexpr (std::is_same_v<V, Vec<float>>)
    return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  else if constexpr (std::is_same_v<V, Vec<double>>)
    return (V)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
  else
    return std::fma(a, b, c);
#elif defined(__FMA__)
  if constexpr (std::is_same_v<V, Vec<float>>)
    return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  else if constexpr (std::is_same_v<V, Vec<double>>)
    return (V)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
  else
    return std::fma(a, b, c);
#elif defined(__x86_64__)
  return a * b + c;  // nothing to fuse with
#else
  if constexpr (std::is_arithmetic_v<V>)
    return std::fma(a, b, c);
  else
    for (int i = 0; i < lanes<detail::element_t<V>>; ++i) a[i] = std::fma(a[i], b[i], c[i]);
  return a;
#endif
}
/// The same with b in every lane.
template <class V>
[[gnu::always_inline]] constexpr V fma(V a, detail::element_t<V> b,
                                       V c) requires(!std::is_arithmetic_v<V>) {
  return fma(a, b - V{}, c);
}

/// mask ? a : b, lane by lane; for scalars and vectors. Both are computed.
template <class M, class V> [[gnu::always_inline]] constexpr V select(M mask, V a, V b) {
#if defined(__CUDACC__)
  if constexpr (!std::is_arithmetic_v<V>)
    return detail::choose(mask, a, b);
  else
    return mask ? a : b;
#else
  return mask ? a : b;
#endif
}

namespace detail {
/// Lane i is lane I[i] of a, or, counting on, of b.
template <int... I, class V> [[gnu::always_inline]] constexpr V shuffle(V a, V b) {
#if defined(__CUDACC__)
  constexpr int n = sizeof...(I), at[] = {I...};
  V out{};
  for (int i = 0; i < n; ++i) out[i] = at[i] < n ? a[at[i]] : b[at[i] - n];
  return out;
#else
  return __builtin_shufflevector(a, b, I...);
#endif
}

/// Each lane as an element of To, which has as many.
template <class To, class V> [[gnu::always_inline]] constexpr To convert_lanes(V v) {
#if defined(__CUDACC__)
  To out{};
  for (int i = 0; i < To::num; ++i) out[i] = static_cast<element_t<To>>(v[i]);
  return out;
#else
  return __builtin_convertvector(v, To);
#endif
}
}  // namespace detail

/// f(0), ..., f(N - 1) with the index as a compile-time constant: an unrolled loop at every -O level.
template <int N, class F> [[gnu::always_inline]] constexpr void repeat(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

}  // namespace cohort::ops
