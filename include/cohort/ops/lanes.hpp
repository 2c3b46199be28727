// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/lanes.hpp: a register of numbers as a plain class, for compilers without vector types.
#pragma once
#include <cohort/core/host_device.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

namespace cohort::ops::detail {

/// N numbers with the operators of g++'s vector types: lane by lane, a scalar counts for all lanes, a
/// comparison gives a mask of -1 and 0. nvcc's front end stops with an internal error where such a type
/// depends on a template argument, so ops/register.hpp takes this class there.
///
/// Cost     loops: as fast as the host compiler makes them, far from what registers give.
template <class A, int N> struct alignas(N * sizeof(A)) Lanes {
  using element = A;
  static constexpr int num = N;
  A lane[N];

  constexpr A& operator[](int i) { return lane[i]; }
  constexpr const A& operator[](int i) const { return lane[i]; }
};

template <class V> inline constexpr bool is_lanes = false;
template <class A, int N> inline constexpr bool is_lanes<Lanes<A, N>> = true;

/// The type of L op R: the side that has lanes; both sides have the same ones, or one is a scalar.
template <class L, class R> using lanes_t = std::conditional_t<is_lanes<L>, L, R>;
template <class L, class R>
concept LaneByLane = (is_lanes<L> && (std::is_same_v<L, R> || std::is_arithmetic_v<R>)) ||
                     (is_lanes<R> && std::is_arithmetic_v<L>);

/// The signed integers of an element's size: what a comparison gives.
template <class A>
using mask_element_t = std::conditional_t<
    sizeof(A) == 1, std::int8_t,
    std::conditional_t<sizeof(A) == 2, std::int16_t,
                       std::conditional_t<sizeof(A) == 4, std::int32_t, std::int64_t>>>;

template <class V, class T> constexpr typename V::element lane_of(const T& x, int i) {
  if constexpr (is_lanes<T>)
    return x[i];
  else
    return static_cast<typename V::element>(x);
}

template <class F, class L, class R> constexpr auto by_lane(F f, const L& l, const R& r) {
  using V = lanes_t<L, R>;
  V out{};
  for (int i = 0; i < V::num; ++i)
    out[i] = static_cast<typename V::element>(f(lane_of<V>(l, i), lane_of<V>(r, i)));
  return out;
}
template <class F, class L, class R> constexpr auto compare(F f, const L& l, const R& r) {
  using V = lanes_t<L, R>;
  Lanes<mask_element_t<typename V::element>, V::num> out{};
  for (int i = 0; i < V::num; ++i) out[i] = f(lane_of<V>(l, i), lane_of<V>(r, i)) ? -1 : 0;
  return out;
}

// clang-format off
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator+(const L& l, const R& r) { return by_lane(std::plus<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator-(const L& l, const R& r) { return by_lane(std::minus<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator*(const L& l, const R& r) { return by_lane(std::multiplies<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator/(const L& l, const R& r) { return by_lane(std::divides<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator&(const L& l, const R& r) { return by_lane(std::bit_and<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator|(const L& l, const R& r) { return by_lane(std::bit_or<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator^(const L& l, const R& r) { return by_lane(std::bit_xor<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator<(const L& l, const R& r) { return compare(std::less<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator>(const L& l, const R& r) { return compare(std::greater<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator<=(const L& l, const R& r) { return compare(std::less_equal<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator>=(const L& l, const R& r) { return compare(std::greater_equal<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator==(const L& l, const R& r) { return compare(std::equal_to<>{}, l, r); }
template <class L, class R> requires LaneByLane<L, R> constexpr auto operator!=(const L& l, const R& r) { return compare(std::not_equal_to<>{}, l, r); }
// clang-format on

template <class A, int N> constexpr Lanes<A, N> operator<<(Lanes<A, N> v, int bits) {
  for (int i = 0; i < N; ++i) v[i] = static_cast<A>(v[i] << bits);
  return v;
}
template <class A, int N> constexpr Lanes<A, N> operator>>(Lanes<A, N> v, int bits) {
  for (int i = 0; i < N; ++i) v[i] = static_cast<A>(v[i] >> bits);
  return v;
}
template <class A, int N> constexpr Lanes<A, N> operator-(Lanes<A, N> v) {
  for (int i = 0; i < N; ++i) v[i] = -v[i];
  return v;
}
template <class A, int N, class R> constexpr Lanes<A, N>& operator+=(Lanes<A, N>& l, const R& r) {
  return l = l + r;
}
template <class A, int N, class R> constexpr Lanes<A, N>& operator*=(Lanes<A, N>& l, const R& r) {
  return l = l * r;
}

/// mask ? a : b, lane by lane.
template <class M, class A, int N>
constexpr Lanes<A, N> choose(const Lanes<M, N>& mask, Lanes<A, N> a, const Lanes<A, N>& b) {
  for (int i = 0; i < N; ++i) a[i] = mask[i] != 0 ? a[i] : b[i];
  return a;
}

}  // namespace cohort::ops::detail
