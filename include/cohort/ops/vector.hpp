// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/vector.hpp: full-width vectors of the accumulator type, and loops over rows made of them.
#pragma once
#include <cmath>
#include <cohort/core/dtype.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#endif

namespace cohort::ops {

/// Width of a vector register, told by the compiler. g++ 12 plans for 256 bits even where 512 are
/// faster, so every hot loop names its vectors instead of leaving them to the vectoriser.
#if defined(__AVX512F__)
inline constexpr int register_bytes = 64, num_registers = 32;
#elif defined(__AVX__)
inline constexpr int register_bytes = 32, num_registers = 16;
#else
inline constexpr int register_bytes = 16, num_registers = 16;
#endif

namespace detail {
template <class A, int Bytes = register_bytes> struct vector_of {
  typedef A type __attribute__((vector_size(Bytes)));
};
}  // namespace detail

/// A register full of A; the operators of A work on it lane by lane, a comparison gives a mask.
template <class A> using Vec = typename detail::vector_of<A>::type;
template <class A> inline constexpr int lanes = register_bytes / static_cast<int>(sizeof(A));

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
}  // namespace detail

/// a * b + c, rounded once where the target can, else twice; for scalars and vectors. The bits law
/// hangs on it: g++ fuses a * b + c wherever it sees both in one basic block, which differs between
/// two inlined copies of one loop. So no op adds a product: it calls fma.
template <class V> [[gnu::always_inline]] constexpr V fma(V a, V b, V c) {
#if defined(__AVX512F__)
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
template <class V>
[[gnu::always_inline]] constexpr V fma(V a, detail::element_t<V> b,
                                       V c) requires(!std::is_arithmetic_v<V>) {
  return fma(a, b - V{}, c);
}

/// f(0), ..., f(N - 1) with the index as a compile-time constant: an unrolled loop at every -O level.
template <int N, class F> [[gnu::always_inline]] constexpr void repeat(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

/// `lanes` elements from any address, converted to the accumulator type.
template <class T> [[gnu::always_inline]] inline Vec<accumulator_t<T>> load(const T* from) {
  using A = accumulator_t<T>;
  Vec<A> v;
  if constexpr (std::is_same_v<A, T>)
    std::memcpy(&v, from, sizeof v);
  else
    for (int i = 0; i < lanes<A>; ++i) v[i] = A(from[i]);
  return v;
}

/// The first n < lanes elements; the other lanes hold `fill`.
template <class T>
[[gnu::always_inline]] inline Vec<accumulator_t<T>> load_first(const T* from, int n,
                                                               accumulator_t<T> fill = 0) {
  using A = accumulator_t<T>;
  Vec<A> v = broadcast(fill);
  for (int i = 0; i < n; ++i) v[i] = A(from[i]);
  return v;
}

template <class T> [[gnu::always_inline]] inline void store(T* to, Vec<accumulator_t<T>> v) {
  if constexpr (std::is_same_v<accumulator_t<T>, T>)
    std::memcpy(to, &v, sizeof v);
  else
    for (int i = 0; i < lanes<accumulator_t<T>>; ++i) to[i] = T(v[i]);
}

template <class T>
[[gnu::always_inline]] inline void store_first(T* to, Vec<accumulator_t<T>> v, int n) {
  for (int i = 0; i < n; ++i) to[i] = T(v[i]);
}

namespace detail {
/// Lane i of the first half meets lane i of the second: ((0+4)+(2+6)) + ((1+5)+(3+7)) for 8 lanes.
template <class A, int Bytes, class F>
[[gnu::always_inline]] inline A fold(typename vector_of<A, Bytes>::type v, F f) {
  if constexpr (Bytes == 2 * sizeof(A)) {
    return f(A(v[0]), A(v[1]));
  } else {
    struct {
      typename vector_of<A, Bytes / 2>::type low, high;
    } half;
    std::memcpy(&half, &v, sizeof v);
    return fold<A, Bytes / 2>(f(half.low, half.high), f);
  }
}
}  // namespace detail

/// Sum and maximum over the lanes, in a fixed tree.
template <class A> [[gnu::always_inline]] inline A sum_lanes(Vec<A> v) {
  return detail::fold<A, register_bytes>(v, [](auto a, auto b) { return a + b; });
}
template <class A> [[gnu::always_inline]] inline A max_lanes(Vec<A> v) {
  return detail::fold<A, register_bytes>(v, [](auto a, auto b) { return a < b ? b : a; });
}

/// out[i] = f(in[i]...) for i < n. The tail runs through the same vector code on a padded copy, so an
/// element's bits depend neither on its position nor on n. `out` may be one of the inputs.
template <class Out, class F, class... In>
inline void map(std::size_t n, F f, Out* out, const In*... in) {
  constexpr std::size_t step = lanes<accumulator_t<Out>>;
  std::size_t i = 0;
  for (; i + step <= n; i += step) store(out + i, f(load(in + i)...));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_first(out + i, f(load_first(in + i, rest)...), rest);
  }
}

/// f(offset, count) for the vectors of a row of C elements: count is `lanes`, at the end perhaps less.
template <int C, class A, class F> [[gnu::always_inline]] inline void for_vectors(F f) {
  constexpr int whole = C / lanes<A> * lanes<A>;
  for (int c = 0; c < whole; c += lanes<A>) f(c, std::integral_constant<int, lanes<A>>{});
  if constexpr (whole < C) f(whole, std::integral_constant<int, C - whole>{});
}

/// load and store of count <= lanes elements, count known at run time.
template <class T>
[[gnu::always_inline]] inline Vec<accumulator_t<T>> load_up_to(const T* from, int count) {
  return count == lanes<accumulator_t<T>> ? load(from) : load_first(from, count);
}
template <class T>
[[gnu::always_inline]] inline void store_up_to(T* to, Vec<accumulator_t<T>> v, int count) {
  if (count == lanes<accumulator_t<T>>)
    store(to, v);
  else
    store_first(to, v, count);
}

/// load and store of `count` elements for the callbacks of for_vectors.
template <int Count, class T>
[[gnu::always_inline]] inline Vec<accumulator_t<T>> load(const T* from,
                                                         std::integral_constant<int, Count>,
                                                         accumulator_t<T> fill = 0) {
  if constexpr (Count == lanes<accumulator_t<T>>)
    return load(from);
  else
    return load_first(from, Count, fill);
}
template <int Count, class T>
[[gnu::always_inline]] inline void store(T* to, Vec<accumulator_t<T>> v,
                                         std::integral_constant<int, Count>) {
  if constexpr (Count == lanes<accumulator_t<T>>)
    store(to, v);
  else
    store_first(to, v, Count);
}

}  // namespace cohort::ops
