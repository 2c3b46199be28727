// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/members.hpp: the members of a plain struct, one by one: options are compared by value, not by their bytes.
#pragma once
#include <cstddef>
#include <type_traits>
#include <utility>

namespace cohort::detail {

/// Stands for a value of any type while members are counted.
struct AnyValue {
  template <class T> operator T() const;
};
template <std::size_t> using AnyOf = AnyValue;

template <class T, class... Values>
concept BracesTake = requires {
  T{Values{}...};
};

inline constexpr std::size_t max_members = 12;

/// How many values T's braces take, from N on up.
template <class T, std::size_t N = 0> constexpr std::size_t count_members() {
  constexpr bool takes_more = []<std::size_t... i>(std::index_sequence<i...>) {
    return BracesTake<T, AnyOf<i>...>;
  }
  (std::make_index_sequence<N + 1>());
  if constexpr (takes_more && N <= max_members)
    return count_members<T, N + 1>();
  else
    return N;
}

template <class S> inline constexpr bool has_few_members = count_members<S>() <= max_members;

/// A plain struct of at most 12 members, without constructors.
template <class S>
concept HasMembers = std::is_aggregate_v<S> && has_few_members<S>;

/// Calls f with each member of s in order.
///
/// Laws     bytes between members are never read: structs of equal values are alike.
/// Errors   arrays of C do not compile: write std::array.
template <HasMembers S, class F> constexpr void for_each_member(const S& s, F&& f) {
  constexpr std::size_t n = count_members<S>();
  const auto each = [&f](const auto&... members) { (f(members), ...); };
  if constexpr (std::is_empty_v<S> || n == 0) {
  } else if constexpr (n == 1) {
    const auto& [a] = s;
    each(a);
  } else if constexpr (n == 2) {
    const auto& [a, b] = s;
    each(a, b);
  } else if constexpr (n == 3) {
    const auto& [a, b, c] = s;
    each(a, b, c);
  } else if constexpr (n == 4) {
    const auto& [a, b, c, d] = s;
    each(a, b, c, d);
  } else if constexpr (n == 5) {
    const auto& [a, b, c, d, e] = s;
    each(a, b, c, d, e);
  } else if constexpr (n == 6) {
    const auto& [a, b, c, d, e, g] = s;
    each(a, b, c, d, e, g);
  } else if constexpr (n == 7) {
    const auto& [a, b, c, d, e, g, h] = s;
    each(a, b, c, d, e, g, h);
  } else if constexpr (n == 8) {
    const auto& [a, b, c, d, e, g, h, i] = s;
    each(a, b, c, d, e, g, h, i);
  } else if constexpr (n == 9) {
    const auto& [a, b, c, d, e, g, h, i, j] = s;
    each(a, b, c, d, e, g, h, i, j);
  } else if constexpr (n == 10) {
    const auto& [a, b, c, d, e, g, h, i, j, k] = s;
    each(a, b, c, d, e, g, h, i, j, k);
  } else if constexpr (n == 11) {
    const auto& [a, b, c, d, e, g, h, i, j, k, l] = s;
    each(a, b, c, d, e, g, h, i, j, k, l);
  } else if constexpr (n == 12) {
    const auto& [a, b, c, d, e, g, h, i, j, k, l, m] = s;
    each(a, b, c, d, e, g, h, i, j, k, l, m);
  }
}

}  // namespace cohort::detail
