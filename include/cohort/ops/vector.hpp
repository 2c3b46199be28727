// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/vector.hpp: full-width vectors of the accumulator type, and loops over rows made of them.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/ops/float16_lanes.hpp>
#include <cohort/ops/register.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace cohort::ops {

/// `lanes` elements from any address, converted to the accumulator type.
template <class T> [[gnu::always_inline]] inline Vec<accumulator_t<T>> load(const T* from) {
  if constexpr (Float16<T>) {
    detail::Halves h;
    std::memcpy(&h, from, sizeof h);
    return detail::widen<T>(h);
  } else {
    Vec<T> v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
}

/// The first n < lanes elements; the other lanes hold `fill`.
template <class T>
[[gnu::always_inline]] inline Vec<accumulator_t<T>> load_first(const T* from, int n,
                                                               accumulator_t<T> fill = 0) {
  Vec<accumulator_t<T>> v = broadcast(fill);
  if constexpr (Float16<T>) {
    Vec<std::int32_t> lane{};
    for (int i = 0; i < lanes<float>; ++i) lane[i] = i;
    v = select(lane < n, detail::widen<T>(detail::load_bits(from, n)), v);
  } else {
    for (int i = 0; i < n; ++i) v[i] = from[i];
  }
  return v;
}

/// Writes `lanes` elements, each rounded once.
template <class T> [[gnu::always_inline]] inline void store(T* to, Vec<accumulator_t<T>> v) {
  if constexpr (Float16<T>) {
    const detail::Halves h = detail::narrow<T>(v);
    std::memcpy(static_cast<void*>(to), &h, sizeof h);
  } else {
    std::memcpy(to, &v, sizeof v);
  }
}

/// The first n lanes.
template <class T>
[[gnu::always_inline]] inline void store_first(T* to, Vec<accumulator_t<T>> v, int n) {
  if constexpr (Float16<T>)
    detail::store_bits(to, detail::narrow<T>(v), n);
  else
    for (int i = 0; i < n; ++i) to[i] = v[i];
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

/// The sum of all lanes, in a fixed tree.
template <class A> [[gnu::always_inline]] inline A sum_lanes(Vec<A> v) {
  return detail::fold<A, register_bytes>(v, [](auto a, auto b) { return a + b; });
}
/// The largest lane, by the same tree.
template <class A> [[gnu::always_inline]] inline A max_lanes(Vec<A> v) {
  return detail::fold<A, register_bytes>(v, [](auto a, auto b) { return select(a < b, b, a); });
}

/// out[i] = f(in[i]...) for i < n. The tail runs through the same vector code on a padded copy, so an
/// element's bits depend neither on its position nor on n. `out` may be one of the inputs.
template <class Out, class F, class... In>
inline void map(std::size_t n, F f, Out* out, const In*... in) {
  constexpr std::size_t step = lanes<accumulator_t<Out>>;
  std::size_t i = 0;
  for (; i + step <= n; i += step) store(out + i, f(load(in + i)...));
  const int rest = static_cast<int>(n % step);  // g++ 12 sees that this is below step
  if (rest > 0) store_first(out + i, f(load_first(in + i, rest)...), rest);
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
/// At most a register: `count` elements, all of them without a mask.
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
/// The same for a count that the compiler knows.
template <int Count, class T>
[[gnu::always_inline]] inline void store(T* to, Vec<accumulator_t<T>> v,
                                         std::integral_constant<int, Count>) {
  if constexpr (Count == lanes<accumulator_t<T>>)
    store(to, v);
  else
    store_first(to, v, Count);
}

/// A row in the accumulator type, for loops that read it several times: itself, or a copy in `wide`.
template <int C, class T>
[[gnu::always_inline]] inline const accumulator_t<T>* widened(const T* row,
                                                              accumulator_t<T>* wide) {
  using A = accumulator_t<T>;
  if constexpr (std::is_same_v<T, A>) {
    return row;
  } else {
    for_vectors<C, A>([&](int c, auto count) { store(wide + c, load(row + c, count), count); });
    return wide;
  }
}

}  // namespace cohort::ops
