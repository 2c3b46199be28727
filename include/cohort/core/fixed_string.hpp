// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/fixed_string.hpp: names as types, so that a layer finds "weight"_p at compile time.
#pragma once
#include <cstddef>
#include <string_view>

namespace cohort {

/// A string literal as a template argument.
template <std::size_t N> struct fixed_string {
  char chars[N]{};
  constexpr fixed_string(const char (&text)[N]) {
    for (std::size_t i = 0; i < N; ++i) chars[i] = text[i];
  }
  constexpr std::string_view view() const { return {chars, N - 1}; }
};

/// The type of a name: what "weight"_p yields. Functions take the type (`template <class N> f(N)`)
/// and read N::view(): nvcc does not deduce a class-type template argument through name<S>.
template <fixed_string S> struct Name {
  static constexpr std::string_view view() { return S.view(); }
  template <class V> constexpr auto operator=(const V& value) const;  // core/saved.hpp
};

/// "weight"_p names a parameter, a child, or a kept activation.
template <fixed_string S> constexpr Name<S> operator""_p() { return {}; }

/// Two names, or what has one, spelled alike.
template <class A, class B> inline constexpr bool same_name = A::view() == B::view();

namespace detail {
template <int I> consteval auto decimal() {
  constexpr int digits = [] {
    int n = 1;
    for (int v = I; v >= 10; v /= 10) ++n;
    return n;
  }();
  char text[digits + 1]{};
  for (int k = digits - 1, v = I; k >= 0; --k, v /= 10) text[k] = static_cast<char>('0' + v % 10);
  return fixed_string<digits + 1>(text);
}
}  // namespace detail

/// The name of the I-th of several unnamed things: Name<"0">, Name<"1">, ...
template <int I> using IndexName = Name<detail::decimal<I>()>;

static_assert(IndexName<126>::view() == "126" && same_name<Name<"a">, decltype("a"_p)>);

}  // namespace cohort
